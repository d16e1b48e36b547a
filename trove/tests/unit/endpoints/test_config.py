"""What HAProxy is told; no process runs here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trove.domain.ports import Backend, EndpointSpec
from trove.endpoints import config

SPEC = EndpointSpec(
    "c1", "127.0.9.1", 3306, "a b", (Backend("a b", "127.0.9.2", 3306), Backend("ä", "127.0.9.3", 3306, "maint"))
)


def servers(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("server ")]


def test_active_member_is_no_backup_and_maint_takes_nothing() -> None:
    text = config.render(SPEC, config.Limits())
    assert servers(text) == [
        "server a_20_b 127.0.9.2:3306 id 1",
        "server _e4_ 127.0.9.3:3306 id 2 backup disabled",
    ]
    assert "bind 127.0.9.1:3306" in text
    assert "user " not in text


def test_leader_may_differ_from_the_active_member() -> None:
    text = config.render(replace(SPEC, active="a b"), config.Limits(user="nobody", linger=7), leader="ä")
    assert servers(text)[0].endswith("backup")
    assert "hard-stop-after 7s" in text
    assert "user nobody" in text


def test_different_names_stay_different() -> None:
    names = ["a", "a b", "a_20_b", "A", "a.b", "a-b", "ab"]
    assert len({config.server_name(name) for name in names}) == len(names)
    assert all(part.isascii() and " " not in part for part in map(config.server_name, names))


def test_record_survives_a_restart() -> None:
    assert config.loads(config.dumps(SPEC)) == SPEC
    for broken in ("{", "[]", '{"cluster_id": "c1"}', '{"backends": [{"name": 1, "colour": 2}]}'):
        with pytest.raises(ValueError):
            config.loads(broken)


def test_states_are_no_reason_to_reload() -> None:
    ready = replace(SPEC, backends=tuple(replace(backend, state="ready") for backend in SPEC.backends), active="ä")
    assert config.shape(ready) == config.shape(SPEC)
    assert config.shape(replace(SPEC, backends=SPEC.backends[:1])) != config.shape(SPEC)
