"""All names exist, under the classes they were released with, and each has a case in the transcripts."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest

from troveclient import shell
from troveclient.commands.index import TABLE
from troveclient.osc import plugin
from troveclient.osc.v1 import base
from troveclient.tests.osc import transcripts

HERE = Path(__file__).parent
GROUP = "openstack.database.v1"
CASES = transcripts.cases()
# Lines that belong to openstackclient's own network commands.
FOREIGN = "openstack security group"


def lines(name: str) -> list[str]:
    text = (HERE / "names" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def entry_points() -> dict[str, str]:
    return {entry.name.replace("_", " "): entry.value for entry in metadata.entry_points(group=GROUP)}


def command_words(line: str) -> list[str]:
    """The words of a specification line without its placeholders: `openstack database set --root`."""
    return [word for word in line.split() if not word.startswith("<")]


def typed(words: list[str]) -> bool:
    """Whether some case begins with these words; flags may stand anywhere."""
    names = [word for word in words if not word.startswith("-")]
    flags = {word for word in words if word.startswith("-")}
    return any(
        [word for word in case.words if not word.startswith("-")][: len(names)] == names
        and flags <= set(case.words)
        and not (words[0] == "trove" and case.words[1] != words[1])
        for case in CASES
    )


@pytest.mark.parametrize("line", lines("specification.txt"))
def test_specification_line_has_a_case(line: str) -> None:
    if line.startswith(FOREIGN):
        assert not any(name.startswith("security") for name in entry_points())
        return
    assert typed(command_words(line)), f"no transcript types {line!r}"


@pytest.mark.parametrize("name", [line.partition(" = ")[0] for line in lines("released.txt")])
def test_released_name_has_a_case(name: str) -> None:
    assert typed(["openstack", *name.split()])


@pytest.mark.parametrize("name", lines("shell.txt"))
def test_released_shell_name_has_a_case(name: str) -> None:
    assert typed(["trove", name])


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name or row.trove)
def test_every_command_of_the_index_has_a_case(row: base.Row) -> None:
    if row.name:
        assert typed(["openstack", *row.name.split()])
    for name in row.trove.split():
        assert typed(["trove", name])


@pytest.mark.parametrize("line", lines("released.txt"))
def test_released_class_has_its_module_and_name(line: str) -> None:
    name, _, path = line.partition(" = ")
    module_name, _, class_name = path.partition(".")
    module = import_module(f"troveclient.osc.v1.{module_name}")
    cls = getattr(module, class_name)
    assert isinstance(cls, type)
    assert (cls.__module__, cls.__name__) == (f"troveclient.osc.v1.{module_name}", class_name)
    assert entry_points()[name] == f"troveclient.osc.v1.{module_name}:{class_name}"
    assert "cmd_name" in inspect.getfullargspec(cls.__init__).args


def test_entry_points_are_the_index() -> None:
    assert entry_points() == {row.name: f"troveclient.osc.v1.{row.cls}" for row in TABLE if row.name}


def test_there_are_all_the_names_promised() -> None:
    assert len(entry_points()) >= 113
    assert len(shell.commands()) >= 104


def test_names_and_classes_are_unique() -> None:
    names = [row.name for row in TABLE if row.name]
    classes = [row.cls for row in TABLE if row.cls]
    words = [name for row in TABLE for name in row.trove.split()]
    for found in (names, classes, words):
        assert sorted(found) == sorted(set(found))


def test_no_command_of_openstackclient_has_our_names() -> None:
    ours = set(entry_points())
    groups = {name for name in metadata.entry_points().groups if name.startswith("openstack.")}
    others = {
        entry.name.replace("_", " ")
        for group in groups - {GROUP, "openstack.cli.extension"}
        for entry in metadata.entry_points(group=group)
    }
    assert len(others) > 500
    assert not ours & others
    assert not [name for name in others if name.startswith("data")]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_name_resolves_to_itself_with_values_behind_it() -> None:
    from cliff.commandmanager import CommandManager

    manager = CommandManager("openstack.database.v1")
    for name in entry_points():
        found, typed_name, rest = manager.find_command([*name.split(), "00-value", "01-value"])
        assert (found.row.name, typed_name, rest) == (name, name, ["00-value", "01-value"])  # type: ignore[attr-defined]


def test_a_command_that_hides_values_of_a_shorter_one_gives_them_back() -> None:
    rows = {row.name: row for row in TABLE if row.name}
    for name, row in rows.items():
        shorter = name.rpartition(" ")[0]
        takes = shorter in rows and any(
            not item.names[0].startswith("-") for item in base.function(rows[shorter]).definition.args
        )
        assert (row.shorter == shorter) if takes else not row.shorter, name


def test_the_option_is_added_once_even_with_another_distribution_beside_us() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    plugin.build_option_parser(plugin.build_option_parser(parser))
    assert parser.parse_args([]).os_database_api_version == "1"
    assert plugin.API_VERSION_OPTION == "os_database_api_version"
    assert plugin.API_NAME == "database"
    assert "1" in plugin.API_VERSIONS


def modules_after(code: str) -> set[str]:
    """Names in sys.modules after running code in a fresh interpreter."""
    text = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(sorted(sys.modules))"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    return set(ast.literal_eval(text))


def test_loading_the_plugin_imports_nothing_but_itself() -> None:
    before = modules_after("import osc_lib.command.command, stevedore")
    load = f"import osc_lib.command.command, stevedore; stevedore.ExtensionManager({GROUP!r})"
    new = modules_after(f"{load}; import troveclient.osc.plugin") - before
    foreign = {name for name in new if not name.startswith("troveclient")}
    assert not {name for name in foreign if name.split(".")[0] in ("requests", "keystoneauth1", "openstack", "yaml")}
    assert not [name for name in new if name.startswith(("troveclient.v1", "troveclient.client", "troveclient.shell"))]


def test_help_of_the_shell_needs_no_http_library() -> None:
    seen = modules_after(
        "import io, contextlib\nfrom troveclient import shell\n"
        "with contextlib.redirect_stdout(io.StringIO()): shell.main(['help'])"
    )
    assert not seen & {"requests", "keystoneauth1", "openstack", "osc_lib", "cliff", "prettytable"}


def test_client_imports_neither_shell_nor_cloud_libraries() -> None:
    seen = modules_after("import troveclient.v1.client")
    unwanted = {"openstack", "openstackclient", "swiftclient", "mistralclient", "osc_lib", "prettytable", "cliff"}
    assert not seen & unwanted


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name or row.trove)
def test_help_says_what_every_argument_is(row: base.Row) -> None:
    assert row.help.endswith(".")
    for item in base.function(row).definition.args:
        assert item.options.get("help"), f"{row.run} {item.names}"
