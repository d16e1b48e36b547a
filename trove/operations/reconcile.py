"""Bring what runs in line with what the rows say: after a reboot, a crash, or somebody's hand.

A process, a directory and an address exist exactly when a row says so. Only idle resources are touched: whatever an
operation holds is the operation's business.
"""

from __future__ import annotations

import logging
import threading

from trove.datastores.mariadb.recovery import first_to_start
from trove.domain.errors import NotFound, TroveError
from trove.domain.health import Health
from trove.domain.instances import Cluster, Instance
from trove.domain.ports import GuestAddress, Order, ServerState
from trove.domain.states import ClusterTask, InstanceTask
from trove.operations.context import Tools, server_spec
from trove.operations.steps.endpoint import endpoint_spec

LOG = logging.getLogger(__name__)

PERIOD = 10.0
ALL_DOWN_ROUNDS = 2
"""Looks in a row at which the same member must be the one to start a stopped cluster anew."""


class Reconciler:
    """One thread that looks and mends."""

    def __init__(self, tools: Tools, period: float = PERIOD) -> None:
        self._tools, self._period = tools, period
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="reconcile", daemon=True)
        self._first: dict[str, tuple[str | None, int]] = {}
        self._orphans: set[str] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                LOG.exception("reconciling")
            self._stop.wait(self._period)

    def look(self) -> None:
        """Mend what is not as the rows say, once."""
        store = self._tools.store
        clusters = {cluster.id: cluster for cluster in store.all_clusters()}
        instances = {instance.id: instance for instance in store.all_instances()}
        for instance in instances.values():
            cluster = clusters.get(instance.cluster_id or "")
            if instance.task is InstanceTask.NONE and (cluster is None or cluster.task is ClusterTask.NONE):
                self._mend_server(instance)
        for cluster in clusters.values():
            if cluster.task is ClusterTask.NONE and cluster.endpoint_address and cluster.active_member_id:
                self._mend_endpoint(cluster)
                self._mend_quorum(cluster)
        self._remove_orphans(set(instances), set(clusters))

    def _order(self, what: str) -> Order:
        return Order(f"reconcile-{what}", 0, self._tools.store.next_fence())

    def _mend_server(self, instance: Instance) -> None:
        if self._tools.compute.inspect(instance.id).state is ServerState.RUNNING or instance.image_id is None:
            return
        LOG.warning("%s (%s) is not running, starting it", instance.name, instance.id)
        family = self._tools.family_of(instance.version.datastore)
        try:
            self._tools.compute.ensure(server_spec(instance, instance.image_id, family), self._order("server"))
        except TroveError as error:
            LOG.error("cannot start %s: %s", instance.name, error)

    def _mend_endpoint(self, cluster: Cluster) -> None:
        if self._tools.endpoints.running(cluster.id):
            return
        LOG.warning("the address of cluster %s is not served, starting it", cluster.name)
        assert cluster.active_member_id is not None
        spec = endpoint_spec(cluster, [member.id for member in cluster.members], cluster.active_member_id)
        try:
            self._tools.endpoints.ensure(spec)
        except TroveError as error:
            LOG.error("cannot serve the address of %s: %s", cluster.name, error)

    def _mend_quorum(self, cluster: Cluster) -> None:
        """A Galera cluster that was stopped as a whole needs one member to start it anew: the one with the newest data.

        Only when the same member has been found at several looks in a row; until then its members may be finding each
        other by themselves.
        """
        if all(member.health is not None and member.health.healthy for member in cluster.members):
            self._first.pop(cluster.id, None)
            return
        first = first_to_start({member.id: self._ask(member) for member in cluster.members})
        before, rounds = self._first.get(cluster.id, (None, 0))
        self._first[cluster.id] = (first, rounds + 1 if first == before else 1)
        if first is None or self._first[cluster.id][1] < ALL_DOWN_ROUNDS:
            return
        member = cluster.member(first)
        LOG.warning("cluster %s was stopped as a whole; starting it anew on %s", cluster.name, member.name)
        try:
            self._tools.guests.run(
                GuestAddress(member.id, member.address), "start", {"bootstrap": True}, self._order("quorum"), wait=90
            )
        except TroveError as error:
            LOG.error("cannot start cluster %s anew: %s", cluster.name, error)
        self._first.pop(cluster.id, None)

    def _ask(self, member: Instance) -> Health | None:
        try:
            return self._tools.guests.health(GuestAddress(member.id, member.address), timeout=2.0)
        except TroveError:
            return None

    def _remove_orphans(self, instances: set[str], clusters: set[str]) -> None:
        """Remove servers and endpoints without a row, when they had none at the last look either."""
        lone_servers = set(self._tools.compute.list()) - instances
        lone_endpoints = set(self._tools.endpoints.list()) - clusters
        for orphan in (lone_servers | lone_endpoints) & self._orphans:
            try:
                if orphan in lone_servers and not self._has_row(orphan):
                    LOG.warning("removing server %s, which belongs to no instance", orphan)
                    self._tools.compute.delete(orphan, self._order("orphan"))
                if orphan in lone_endpoints:
                    LOG.warning("removing endpoint %s, which belongs to no cluster", orphan)
                    self._tools.endpoints.delete(orphan)
            except TroveError as error:
                LOG.error("cannot remove %s: %s", orphan, error)
        self._orphans = lone_servers | lone_endpoints

    def _has_row(self, instance_id: str) -> bool:
        try:
            self._tools.store.instance(instance_id)
        except NotFound:
            return False
        return True
