"""Memory and processor limits by control groups, version 1 or 2, where this host lets us; never a reason to fail."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

AGENT_MB = 64
"""Room for the agent beside what the flavor gives the engine."""
PERIOD_US = 100_000

Setting = tuple[str, str]
"""File and value."""


@dataclass(frozen=True)
class Limits:
    """What is enforced, and the groups that do so."""

    enforced: dict[str, bool]
    groups: tuple[str, ...] = ()


class ControlGroups:
    """Makes one group per instance and controller below the controller process's own group.

    `name` tells installations apart; `root` and `own` (the text of /proc/self/cgroup) are those of the host.
    """

    def __init__(self, name: str, root: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> None:
        self._name, self._root = name, root
        self._own = own if own is not None else _read(Path("/proc/self/cgroup"))

    def apply(self, instance_id: str, ram_mb: int, vcpus: int) -> Limits:
        """Make or change the instance's groups."""
        memory = str((ram_mb + AGENT_MB) << 20)
        if (self._root / "cgroup.controllers").exists():
            return self._unified(instance_id, memory, vcpus)
        groups = {
            "memory": self._legacy("memory", instance_id, [("memory.limit_in_bytes", memory)]),
            "cpu": self._legacy(
                "cpu",
                instance_id,
                [("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", str(vcpus * PERIOD_US))],
            ),
        }
        made = tuple(dict.fromkeys(group for group in groups.values() if group))
        return Limits({"memory": groups["memory"] is not None, "cpu": groups["cpu"] is not None, "disk": False}, made)

    def remove(self, groups: Sequence[str], timeout: float = 2.0) -> None:
        """Remove groups; the kernel needs a moment after the last process has ended."""
        deadline = time.monotonic() + timeout
        for group in groups:
            while Path(group).is_dir():
                try:
                    Path(group).rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.01)
            with contextlib.suppress(OSError):
                Path(group).parent.rmdir()

    def ids(self) -> set[str]:
        """Return the instances that have a group, also one made from another place in the tree."""
        found = set()
        for base in {parent for parent, _ in self._places()}:
            with contextlib.suppress(OSError):
                found |= {entry.name for entry in base.iterdir() if entry.is_dir()}
        return found

    def of(self, instance_id: str) -> tuple[str, ...]:
        """Return the groups of an instance where a group of ours would be."""
        places = (base / instance_id for base, _ in self._places())
        return tuple(dict.fromkeys(str(place) for place in places if place.is_dir()))

    def _places(self) -> Iterator[tuple[Path, str]]:
        for controller in ("memory", "cpu"):
            with contextlib.suppress(OSError):
                for base in self._bases(controller):
                    yield base / self._name, controller

    def _bases(self, controller: str) -> list[Path]:
        """Return the directories in which a group may be made, the best first."""
        if (self._root / "cgroup.controllers").exists():
            own = self._path_of("")
            below = self._root / own.lstrip("/")
            # Processes and limited groups do not go together, so the neighbour of our own group comes first.
            return list(dict.fromkeys([below.parent if below != self._root else below, self._root]))
        for hierarchy in self._root.iterdir():
            if controller in hierarchy.name.split(",") and hierarchy.is_dir():
                inside = hierarchy / self._path_of(controller).lstrip("/")
                return [inside if inside.is_dir() else hierarchy]
        return []

    def _path_of(self, controller: str) -> str:
        """Return our own place in a hierarchy, from lines such as `4:memory:/a` or `0::/a`."""
        for line in self._own.splitlines():
            parts = line.split(":", 2)
            if len(parts) == 3 and controller in parts[1].split(","):
                return parts[2]
        return "/"

    def _legacy(self, controller: str, instance_id: str, settings: Sequence[Setting]) -> str | None:
        with contextlib.suppress(OSError):
            for base in self._bases(controller):
                group = base / self._name / instance_id
                group.mkdir(parents=True, exist_ok=True)
                if _set(group, settings):
                    return str(group)
                self.remove([str(group)], timeout=0)
        return None

    def _unified(self, instance_id: str, memory: str, vcpus: int) -> Limits:
        for base in self._bases("memory"):
            group = base / self._name / instance_id
            with contextlib.suppress(OSError):
                have = set(_read(base / "cgroup.controllers").split()) & {"memory", "cpu"}
                group.mkdir(parents=True, exist_ok=True)
                for folder in (base, base / self._name):
                    for controller in sorted(have):
                        _set(folder, [("cgroup.subtree_control", f"+{controller}")])
                enforced = {
                    "memory": _set(group, [("memory.max", memory)]),
                    "cpu": _set(group, [("cpu.max", f"{vcpus * PERIOD_US} {PERIOD_US}")]),
                    "disk": False,
                }
                if enforced["memory"] or enforced["cpu"]:
                    return Limits(enforced, (str(group),))
                self.remove([str(group)], timeout=0)
        return Limits({"memory": False, "cpu": False, "disk": False})


def holds(group: str, pid: int) -> bool:
    """Tell whether a process is in the group."""
    return str(pid) in _read(Path(group, "cgroup.procs")).split()


def _set(group: Path, settings: Sequence[Setting]) -> bool:
    """Write settings that the kernel offers in that group; False where it does not or refuses."""
    try:
        for name, value in settings:
            if not (group / name).exists():
                return False
            (group / name).write_text(value)
    except OSError:
        return False
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
