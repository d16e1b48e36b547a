"""Bring what runs in line with what the rows say: after a reboot, a crash, or somebody's hand.

A process, a directory and an address exist exactly when a row says so. Only what rests is touched: a member that an
operation works on is the operation's business, while the other members of its cluster must go on serving even if the
host was restarted in the middle.

Invariant: an order carries a fence that is taken before the row is read again. An operation accepted after that reading
has a larger fence, so it wins; one accepted before it is seen in the row, and nothing is ordered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from trove.datastores.mariadb.recovery import Remedy, lost_quorum, remedy
from trove.domain.errors import NotFound, TroveError, Unavailable
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.ports import EndpointSpec, GuestAddress, Order, ServerState
from trove.domain.states import ClusterTask, InstanceTask, OperationStatus
from trove.operations.context import Tools, server_spec
from trove.operations.steps.endpoint import endpoint_spec

LOG = logging.getLogger(__name__)

PERIOD = 10.0
SOON = 3.0
"""Seconds to the next look while a cluster has no quorum, or a server was just started."""
SAME_LOOKS = 2
"""Looks in a row at which the same must help a cluster without quorum, before it is done."""
PATIENT_LOOKS = 20
"""Looks for which members that may help themselves are left to it."""
BEGIN_SECONDS = 90.0
"""How long the member that begins a cluster anew may take."""
HANDS_OFF = (ClusterTask.BUILDING, ClusterTask.DELETING)
"""Clusters that are not there yet, or hardly any more."""
WORKED_ON = (InstanceTask.UPGRADING, InstanceTask.RESTARTING)
"""What an operation may have begun when it is held for a person, who may take days."""


class Reconciler:
    """One thread that looks and mends."""

    def __init__(self, tools: Tools, period: float = PERIOD) -> None:
        self._tools, self._period = tools, period
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reconcile", daemon=True)
        self._without_quorum: dict[str, list[Remedy | None]] = {}
        """By cluster: what would have helped, at each look since all members answered and none had quorum."""
        self._begun = False
        self._orphans: set[str] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(30)

    def wake(self) -> None:
        """Look now: something may have stopped."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            woken = self._wake.is_set()
            self._wake.clear()
            try:
                self.look()
            except Exception:
                if not self._stop.is_set():
                    LOG.exception("reconciling")
            # What has just fallen silent may not be quite dead at the first look.
            soon = woken or self._begun or self._without_quorum
            if not self._stop.is_set():
                self._wake.wait(min(SOON, self._period) if soon else self._period)

    def look(self) -> None:
        """Mend what is not as the rows say, once. What goes wrong with one thing keeps none of the others waiting."""
        store = self._tools.store
        clusters = {cluster.id: cluster for cluster in store.all_clusters()}
        instances = {instance.id: instance for instance in store.all_instances()}
        self._begun = False
        self._without_quorum = {key: looks for key, looks in self._without_quorum.items() if key in clusters}
        for what, mend in self._duties(instances, clusters):
            if self._stop.is_set():
                return
            try:
                mend()
            except TroveError as error:
                LOG.error("cannot mend %s: %s", what, error)
            except Exception:
                LOG.exception("mending %s", what)

    def _duties(
        self, instances: Mapping[str, Instance], clusters: Mapping[str, Cluster]
    ) -> Iterator[tuple[str, Callable[[], None]]]:
        held = self._held(instances.values())
        for instance in instances.values():
            if _rests(instance, clusters.get(instance.cluster_id or ""), _resource(instance) in held):
                yield instance.name, partial(self._mend_server, instance.id)
        for cluster in clusters.values():
            if cluster.task not in HANDS_OFF and cluster.endpoint_address and cluster.active_member_id:
                yield f"the address of {cluster.name}", partial(self._mend_endpoint, cluster)
                yield f"cluster {cluster.name}", partial(self._mend_quorum, cluster)
        yield "what belongs to nobody", partial(self._remove_orphans, set(instances), set(clusters))

    def _held(self, instances: Iterable[Instance]) -> set[str]:
        """Return the resources whose operation waits for a person."""
        worked_on = sorted({_resource(instance) for instance in instances if instance.task in WORKED_ON})
        latest = self._tools.store.latest_operations(worked_on)
        return {resource_id for resource_id, operation in latest.items() if operation.status is OperationStatus.HELD}

    def _order(self, what: str) -> Order:
        # The fence is part of the id: an agent does what it is told under one id only once, ever.
        fence = self._tools.store.next_fence()
        return Order(f"reconcile-{what}-{fence}", 0, fence)

    def _at_rest(self, instance_id: str) -> Instance | None:
        """Read an instance again; None when an operation has begun with it, or it is gone."""
        store = self._tools.store
        try:
            instance = store.instance(instance_id)
            cluster = store.cluster(instance.cluster_id) if instance.cluster_id else None
        except NotFound:
            return None
        return instance if _rests(instance, cluster, bool(self._held([instance]))) else None

    def _mend_server(self, instance_id: str) -> None:
        """Start a server that has stopped; one whose data is gone stays away, for an empty one would look alive."""
        if self._tools.compute.inspect(instance_id).state is not ServerState.STOPPED:
            return
        order = self._order("server")
        instance = self._at_rest(instance_id)
        if instance is None or instance.image_id is None:
            return
        LOG.warning("%s (%s) is not running, starting it", instance.name, instance.id)
        family = self._tools.family_of(instance.version.datastore)
        self._begun = True
        self._tools.compute.ensure(server_spec(instance, instance.image_id, family), order)

    def _mend_endpoint(self, cluster: Cluster) -> None:
        if self._tools.endpoints.running(cluster.id):
            return
        cluster = self._tools.store.cluster(cluster.id)
        if cluster.task in HANDS_OFF or cluster.active_member_id is None:
            return
        LOG.warning("the address of cluster %s is not served, starting it", cluster.name)
        self._tools.endpoints.ensure(_endpoint_now(cluster, cluster.active_member_id))

    def _mend_quorum(self, cluster: Cluster) -> None:
        """Help a Galera cluster whose members are all there, but without quorum: the one with the newest data begins.

        Only when the same has been found to help at several looks in a row; until then its members may be finding each
        other by themselves.
        """
        looks = self._without_quorum.pop(cluster.id, [])
        if all(member.health is not None and member.health.healthy for member in cluster.members):
            return
        # Among equals rather one that no operation has begun with.
        members = sorted(cluster.members, key=lambda member: member.task is not InstanceTask.NONE)
        said = {member.id: self._ask(member) for member in members}
        if not lost_quorum(said):
            return
        resting = {member.id for member in members if self._at_rest(member.id)}
        looks.append(remedy(said, resting, by_themselves=len(looks) < PATIENT_LOOKS))
        self._without_quorum[cluster.id] = looks[-PATIENT_LOOKS:]
        helps = looks[-1]
        if helps is None or looks[-SAME_LOOKS:] != [helps] * SAME_LOOKS:
            return
        order = self._order("quorum")
        member = self._at_rest(helps.member_id)
        if member is None:
            return
        del self._without_quorum[cluster.id]
        self._order_remedy(cluster, member, helps, order)

    def _order_remedy(self, cluster: Cluster, member: Instance, helps: Remedy, order: Order) -> None:
        guest, run = GuestAddress(member.id, member.address), self._tools.guests.run
        if not helps.bootstrap:
            LOG.warning("cluster %s has no quorum and %s is behind, restarting its engine", cluster.name, member.name)
            run(guest, helps.kind, {}, order)
            return
        LOG.warning("nobody in cluster %s has quorum; %s has the newest data and begins", cluster.name, member.name)
        told = run(guest, helps.kind, {"bootstrap": True}, order, wait=BEGIN_SECONDS)
        if told.status != "SUCCEEDED":
            raise Unavailable(f"{member.name} does not begin it anew: {told.error or told.progress}")

    def _ask(self, member: Instance) -> Health | None:
        try:
            return self._tools.guests.health(GuestAddress(member.id, member.address), timeout=2.0)
        except TroveError:
            return None

    def _remove_orphans(self, instances: set[str], clusters: set[str]) -> None:
        """Remove servers and endpoints without a row, when they had none at the last look either."""
        lone_servers = set(self._tools.compute.list()) - instances
        lone_endpoints = set(self._tools.endpoints.list()) - clusters
        known, self._orphans = self._orphans, lone_servers | lone_endpoints
        for orphan in sorted(lone_servers & known):
            order = self._order("orphan")
            if self._lone(orphan, self._tools.store.instance):
                LOG.warning("removing server %s, which belongs to no instance", orphan)
                self._attempt(orphan, partial(self._tools.compute.delete, orphan, order))
        for orphan in sorted(lone_endpoints & known):
            if self._lone(orphan, self._tools.store.cluster):
                LOG.warning("removing endpoint %s, which belongs to no cluster", orphan)
                self._attempt(orphan, partial(self._tools.endpoints.delete, orphan))

    def _attempt(self, orphan: str, remove: Callable[[], None]) -> None:
        try:
            remove()
        except TroveError as error:
            LOG.error("cannot remove %s: %s", orphan, error)

    def _lone(self, key: str, find: Callable[[str], object]) -> bool:
        try:
            find(key)
        except NotFound:
            return True
        return False


def _rests(instance: Instance, cluster: Cluster | None, held: bool) -> bool:
    """Whether the instance should serve and no operation works on it now, though one may work on its cluster.

    While one is held its server runs as well; whether its engine does is its agent's to know, who was told last.
    """
    resting = instance.task is InstanceTask.NONE or (held and instance.task in WORKED_ON)
    return resting and (cluster is None or cluster.task not in HANDS_OFF)


def _resource(instance: Instance) -> str:
    """What an operation that works on the instance is an operation of."""
    return instance.cluster_id or instance.id


def _endpoint_now(cluster: Cluster, active_id: str) -> EndpointSpec:
    """Describe the endpoint as it should be at this moment: members that are being worked on take no traffic."""
    spec = endpoint_spec(cluster, [member.id for member in cluster.members], active_id)
    resting = {member.id for member in cluster.members if member.task is InstanceTask.NONE}
    backends = (b if b.name in resting or b.name == active_id else replace(b, state="maint") for b in spec.backends)
    return replace(spec, backends=tuple(backends))
