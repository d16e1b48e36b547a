"""A pure model of one cluster (or one instance) that does what step names say, in the small parts in which it happens.

Every part is followed by a look at the invariants of the design, so a process may die after any part of any step.
Failures of engines are not modelled; a step that could not succeed here (a gate that would never pass, a full copy
from the wrong release) is an `Impossible`, which is a fault of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import Any

from trove.domain.instances import Cluster, Instance
from trove.domain.plans import Step
from trove.domain.states import InstanceTask, check_instance_transition, task_by_name

AGE = {
    name: age
    for names in (("10.5", "10.11", "11.8"), ("6.0", "7.0", "8.0", "8.1", "9.1"))
    for age, name in enumerate(names)
}


class Impossible(AssertionError):
    """The plan asks for something that could not succeed, or that breaks an invariant."""


def need(condition: object, why: str) -> None:
    if not condition:
        raise Impossible(why)


@dataclass
class Member:
    """One member. `data` is the release that wrote its data last, None for an empty volume."""

    id: str
    image: str | None = None
    data: str | None = None
    running: bool = False
    clean: bool = False
    """Whether the engine has ended in order, as a newer release wants it."""
    desired: str = "running"
    joined: bool = False
    backend: str | None = "ready"
    primary: str | None = None
    """Redis: the member this one replicates; None for a primary."""
    slots: bool = False
    copy: str | None = None
    task: str = "NONE"
    row: str = ""
    deleted: bool = False


@dataclass
class Model:
    """The world; `kind` is galera, redis or single."""

    kind: str
    members: dict[str, Member]
    images: set[str]
    cluster_row: str = ""
    active_row: str | None = None
    endpoint: str | None = None
    """The member that gets new connections."""
    recipes: dict[str, str] = field(default_factory=dict)
    version_names: dict[str, str] = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    """Members that are being removed, which therefore may be out of service together."""

    def copy(self) -> Model:
        world = copy(self)
        world.members = {key: copy(m) for key, m in self.members.items()}
        world.images = set(self.images)
        return world

    # -- what steps do ---------------------------------------------------------------------------------------------

    def parts(self, step: Step) -> Iterator[None]:
        """Do the step part by part."""
        area, _, verb = step.name.partition(".")
        do = getattr(self, f"_{area}_{verb}" if verb else f"_{area}")
        member = self.members.get(step.member_id or "")
        params = dict(step.params.get("params", step.params))
        yield from do(step, member, params) or ()

    def run(self, step: Step) -> None:
        for _ in self.parts(step):
            pass

    def _hold(self, *_: Any) -> None:
        return None

    def _image_stage(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        self.images.add(self.recipes[params["recipe"]])

    def _precheck_health(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        for key in params["members"]:
            follows = self.members[key].primary or ""
            excused = follows in params.get("ahead", ()) and self.well(self.members[follows])
            need(excused or self.well(self.members[key]), f"{key} is not well")
        for key, role in (params.get("roles") or {}).items():
            if self.kind == "redis":
                need((self.members[key].primary is None) == (role == "primary"), f"{key} is not {role}")

    def _precheck_roles(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        for key in params["members"]:
            m = self.members[key]
            need(
                not m.running or (m.primary is None) == (params["role"] == "primary"), f"{key} is not {params['role']}"
            )

    def _precheck_source(self, _: Step, m: Member, params: dict[str, Any]) -> None:
        sources = [self.members[key] for key in params["members"]]
        fit = [s for s in sources if self.well(s) and self.version_names[s.image or ""] == params["version"]]
        if params["role"] and self.kind == "redis":
            fit = [s for s in fit if (s.primary is None) == (params["role"] == "primary")]
        need(fit, f"nobody can give {m.id} a full copy")

    def take_over(self, m: Member) -> None:
        """What engines do when they are told to, and by themselves when a primary stays away and comes back later."""
        old = self.members[m.primary or ""]
        for other in self.members.values():
            if other.primary == old.id:
                other.primary = m.id
        old.primary, m.primary = m.id, None
        m.slots, old.slots = old.slots, False

    def _server_ensure(self, _: Step, m: Member, params: dict[str, Any]) -> Iterator[None]:
        image = self.recipes[params["recipe"]]
        need(image in self.images, f"image {image} was not staged")
        if m.image != image:
            if m.running:
                self._away(m)
            m.running = False
            yield
            m.image = image
        yield
        if m.desired == "running" and m.joined and m.data == m.image:
            m.running = True

    def _server_delete(self, _: Step, m: Member, __: Any) -> Iterator[None]:
        need(self.endpoint != m.id, f"{m.id} takes the traffic")
        m.running = m.joined = False
        yield
        m.image = m.data = m.copy = None
        m.slots = False

    def _server_copy(self, _: Step, m: Member, __: Any) -> None:
        need(not m.running, "a copy of running data is no copy")
        m.copy = m.copy or m.data

    def _server_restore(self, _: Step, m: Member, __: Any) -> Iterator[None]:
        if m.copy is not None:
            m.running = False
            yield
            m.data = m.copy

    def _server_discard(self, _: Step, m: Member, __: Any) -> None:
        m.copy = None

    def _guest_prepare(self, _: Step, m: Member, params: dict[str, Any]) -> Iterator[None]:
        need(m.image, f"{m.id} has no server")
        if self.kind == "galera" and not params["bootstrap"]:
            need(any(self.well(o) for o in self.members.values() if o is not m), "nobody to join")
        m.data = m.data or m.image
        yield
        m.desired, m.running, m.joined = "running", True, self.kind != "redis" or m.joined

    def _guest_pre_upgrade(self, _: Step, m: Member, __: Any) -> Iterator[None]:
        m.desired = "upgrading"
        yield
        if m.running:
            self._away(m)
        m.running, m.clean = False, True

    def _guest_post_upgrade(self, _: Step, m: Member, params: dict[str, Any]) -> Iterator[None]:
        need(m.image and m.data, f"{m.id} has nothing to upgrade")
        need(self.version_names[m.image] == params["target"], f"{m.id} is on {m.image}, not on {params['target']}")
        need(AGE[m.data] <= AGE[m.image], f"{m.id}: data of {m.data} does not go back to {m.image}")
        need(m.clean or m.data == m.image, f"{m.id} was not stopped in order on {m.data}")
        m.data = m.image
        yield
        m.desired, m.running, m.clean = "running", True, False

    def _guest_start(self, _: Step, m: Member, __: Any) -> Iterator[None]:
        need(m.image, f"{m.id} has no server")
        need(m.data == m.image, f"{m.id}: an engine of {m.image} started on data of {m.data}")
        m.desired = "running"
        yield
        m.running, m.clean = True, False

    def _guest_stop(self, _: Step, m: Member, __: Any) -> Iterator[None]:
        m.desired = "stopped"
        yield
        m.running = False

    def _guest_restart(self, step: Step, m: Member, params: dict[str, Any]) -> Iterator[None]:
        if m.running:
            self._away(m)
        m.running = False
        yield
        yield from self._guest_start(step, m, params)

    def _guest_reseed(self, _: Step, m: Member, params: dict[str, Any]) -> Iterator[None]:
        m.running = False
        need(self.kind != "redis" or m.primary is not None, f"{m.id} is a primary: its data may be the only copy")
        yield
        m.data = None
        yield
        if self.kind == "galera":
            donors = [self.members[name] for name in params["donors"]]
            well = [donor for donor in donors if self.well(donor)]
            need(well, f"{m.id} has no donor")
            for donor in well:
                need(donor.data == m.image, f"{m.id} on {m.image} would get data of {donor.data} from {donor.id}")
            need(well[0].id != self.endpoint or len(well) == 1, "the serving member gives a copy though another could")
        else:
            source = self.members[m.primary or ""]
            need(source.running and source.data == m.image, f"{m.id} cannot load what {source.id} sends")
        m.data = m.image
        yield
        m.desired, m.running, m.clean = "running", True, False

    def _guest_drain(self, _: Step, m: Member, __: Any) -> None:
        need(self.endpoint != m.id, f"{m.id} still gets new connections")

    def _guest_configure(self, _: Step, m: Member, __: Any) -> None:
        need(m.image, f"{m.id} has no agent")

    def _guest_await_cluster(self, step: Step, _: Any, params: dict[str, Any]) -> None:
        wanted = {node["address"] for node in params["nodes"]}
        there = {self._address(m) for m in self.members.values() if m.joined and m.running}
        need(wanted <= there, f"{step.title}: {wanted - there} are not there")

    def _guest_cluster_create(self, _: Step, __: Any, params: dict[str, Any]) -> Iterator[None]:
        nodes = list(self.members.values())
        count = len(nodes) // 2
        for node in nodes:
            need(node.running, f"{node.id} does not run")
            node.joined = True
            yield
        for index, node in enumerate(nodes):
            node.primary = None if index < count else nodes[index - count].id
            node.slots = index < count
            yield

    def _guest_cluster_failover(self, _: Step, m: Member, __: Any) -> None:
        if m.primary is None:
            return
        need(self.well(m), f"{m.id} is not in sync")
        self.take_over(m)

    def _guest_cluster_add(self, _: Step, __: Any, params: dict[str, Any]) -> Iterator[None]:
        new = self._at(params["node"])
        need(new.running, f"{new.id} does not run")
        new.joined = True
        yield
        if params["role"] == "replica":
            new.primary = self._at(params["master"]).id

    def _guest_cluster_remove(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        gone = self._at(params["node"])
        need(not gone.slots, f"{gone.id} still has slots")
        gone.joined = False

    def _guest_cluster_rebalance(self, *_: Any) -> Iterator[None]:
        for member in self.members.values():
            if member.joined and member.primary is None:
                member.slots = True
                yield

    def _guest_cluster_drain(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        self._at(params["node"]).slots = False

    def _gate_member(self, _: Step, m: Member, params: dict[str, Any]) -> None:
        need(m.running, f"{m.id} will never be in sync, it does not run")
        need(self.version_names[m.image or ""] == params["version"], f"{m.id} runs {m.image}, not {params['version']}")
        need(m.data == m.image, f"{m.id} runs {m.image} on data of {m.data}")

    def _record_member(self, _: Step, m: Member, params: dict[str, Any]) -> None:
        if "task" in params:
            check_instance_transition(task_by_name(InstanceTask, m.task), task_by_name(InstanceTask, params["task"]))
            m.task = params["task"]
        if "version_id" in params:
            m.row = self.recipes[params["version_id"]]

    def _record_member_deleted(self, _: Step, m: Member, __: Any) -> None:
        need(not m.running and m.data is None, f"{m.id} is forgotten with a server")
        m.deleted = True

    def _record_cluster(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        self.cluster_row = self.recipes.get(params.get("version_id", ""), self.cluster_row)
        self.active_row = params.get("active_member_id", self.active_row)

    def _record_cluster_deleted(self, *_: Any) -> None:
        need(all(m.deleted for m in self.members.values()), "members are left")
        self.cluster_row = ""

    def _endpoint_ensure(self, _: Step, __: Any, params: dict[str, Any]) -> None:
        for member in self.members.values():
            member.backend = "ready" if member.id in params["members"] else None
        self.endpoint = params["active"]

    def _endpoint_member(self, _: Step, m: Member, params: dict[str, Any]) -> None:
        need(m.backend is not None, f"{m.id} is not behind the endpoint")
        need(params["state"] == "ready" or self.endpoint != m.id, f"{m.id} takes the traffic")
        m.backend = params["state"]

    def _endpoint_switch(self, _: Step, m: Member, __: Any) -> None:
        need(m.backend is not None and self.well(m), f"{m.id} accepts no connections")
        m.backend, self.endpoint = "ready", m.id

    def _endpoint_delete(self, *_: Any) -> None:
        self.endpoint = None
        for member in self.members.values():
            member.backend = None

    # -- what is true ----------------------------------------------------------------------------------------------

    def well(self, m: Member) -> bool:
        """Whether the engine would say that it serves and has all data."""
        if not (m.running and m.joined and m.data == m.image):
            return False
        if m.primary is None:
            return True
        source = self.members[m.primary]
        return source.running and AGE[source.data or ""] <= AGE[m.data or ""]

    def _away(self, m: Member) -> None:
        """Look at the invariant where a running engine is about to be stopped."""
        if self.kind == "single":
            return
        out = [o.id for o in self.members.values() if o is not m and o.joined and not o.running]
        need(not out, f"{m.id} is taken out while {out} are out")
        left = sum(1 for o in self.members.values() if o is not m and self.well(o))
        need(2 * left > len([o for o in self.members.values() if o.joined]), f"no quorum without {m.id}")
        if self.kind == "redis":
            need(m.primary is not None, f"{m.id} is a primary")
        if self.kind == "galera":
            need(self.endpoint != m.id, f"{m.id} takes the traffic")
            need(m.backend == "maint", f"{m.id} still is behind the endpoint")
            behind = [o.id for o in self.members.values() if o is not m and o.backend == "maint"]
            need(not behind, f"{behind} would not take over should the active one die")

    def look(self) -> None:
        """Check what must be true after every part of every change to a living cluster."""
        if self.kind == "single":
            return
        out = [m.id for m in self.members.values() if m.joined and not m.running and m.id not in self.leaving]
        need(len(out) <= 1, f"{out} are out of service at once")
        for m in (self.members[key] for key in out):
            # An engine that should run and could is being started by its agent; else it is our doing and must be said.
            coming = m.desired == "running" and m.data == m.image
            need(coming or m.task != "NONE", f"{m.id} is shown as ACTIVE and does not run")
        if self.kind == "galera" and self.endpoint is not None:
            active = self.members[self.endpoint]
            need(active.running and active.backend == "ready", f"{active.id} has the traffic and does not serve")
        if self.kind == "redis" and not set(self.members) <= self.leaving:
            for m in self.members.values():
                need(m.running or not m.slots, f"the slots of {m.id} are served by nobody")

    def _address(self, m: Member) -> str:
        return self.recipes[f"address-{m.id}"]

    def _at(self, node: dict[str, Any]) -> Member:
        return next(m for m in self.members.values() if self._address(m) == node["address"])


def model_of(subject: Cluster | Instance, versions: Any, new: tuple[Instance, ...] = ()) -> Model:
    """Make the world in which a plan for the subject starts; members in BUILDING do not exist yet."""
    rows = (*subject.members, *new) if isinstance(subject, Cluster) else (subject,)
    node_ids = {m.health.detail.get("node_id"): m.id for m in rows if m.health}
    kind = "single"
    if isinstance(subject, Cluster):
        kind = "galera" if subject.version.datastore == "mariadb" else "redis"
    recipes = {f"address-{m.id}": m.address for m in rows}
    for version in versions.values():
        recipes[version.recipe] = recipes[version.id] = version.name
    members = {}
    for row in rows:
        built = row.task is not InstanceTask.BUILDING
        of = row.version.name if built else None
        master = row.health.detail.get("master_id") if row.health else None
        members[row.id] = Member(
            row.id,
            image=of,
            data=of,
            running=built,
            joined=built,
            backend="ready" if built and kind == "galera" else None,
            primary=node_ids.get(master) if master else None,
            slots=built and kind == "redis" and not master,
            task=row.task.name,
            row=row.version.name,
        )
    active = subject.active_member_id if isinstance(subject, Cluster) else None
    return Model(
        kind,
        members,
        images={subject.version.name},
        cluster_row=subject.version.name,
        active_row=active,
        endpoint=active,
        recipes=recipes,
        version_names={version.name: version.name for version in versions.values()},
    )
