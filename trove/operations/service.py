"""What the API asks for: make a plan, refuse it with every reason, or write it down for an executor."""

from __future__ import annotations

import itertools
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from trove.datastores.registry import engine_of, upgrade_hops
from trove.domain.datastores import DatastoreVersion, Engine
from trove.domain.errors import BadRequest, NotFound, NotSupported, TroveError, Unprocessable
from trove.domain.instances import Cluster, Instance
from trove.domain.operations import Operation
from trove.domain.plans import Blocker, Plan
from trove.domain.requests import NewCluster, NewDatabase, NewInstance, NewMember, NewUser, UpgradeOptions
from trove.domain.states import ClusterTask, InstanceTask, OperationStatus, Task
from trove.domain.store import Acceptance, Store
from trove.operations.quotas import Quotas
from trove.planning import lifecycle
from trove.planning.upgrade import upgrade_cluster, upgrade_instance
from trove.planning.world import Busy, World

STALE_AFTER = timedelta(seconds=15)
"""An engine that has not been heard of for so long is not called healthy."""


@dataclass(frozen=True)
class Service:
    """Implements `trove.api.services.Services`. `wake` tells executors of this process that there is work."""

    store: Store
    quotas: Quotas
    wake: Callable[[], None] = field(default=lambda: None)

    # -- instances -----------------------------------------------------------------------------------------------

    def create_instance(self, project_id: str, request: NewInstance) -> Operation:
        engine = engine_of(request.version.datastore)
        [address] = self.store.reserve_addresses(1)
        try:
            instance = _new_instance(
                project_id, request.name, request.version, request, engine, address, InstanceTask.BUILDING
            )
            secret = _accounts(request.users, request.databases)
            world = World(engine, instance=instance)
            plan = lifecycle.build_instance(world, instance.id if secret else None)
            return self._accept(
                plan,
                project_id,
                new_instances=(instance,),
                secrets={instance.id: secret} if secret else {},
                limits=self.quotas.limits(project_id),
            )
        except TroveError:
            self.store.release_addresses([address])
            raise

    def delete_instance(self, instance: Instance) -> Operation:
        """Remove it whatever its state; an operation that is held ends with it, one that goes on is waited for."""
        _standalone(instance, "delete")
        plan = lifecycle.delete_instance(self._instance_world(instance))
        return self._accept(plan, instance.project_id, task=InstanceTask.DELETING)

    def restart_instance(self, instance: Instance) -> Operation:
        _standalone(instance, "restart")
        plan = lifecycle.restart_instance(self._instance_world(instance))
        return self._accept(plan, instance.project_id, task=InstanceTask.RESTARTING)

    def plan_upgrade_instance(self, instance: Instance, target_ref: str, options: UpgradeOptions) -> Plan:
        if instance.cluster_id is not None:
            raise Unprocessable(
                f"{instance.name} is a member of cluster {instance.cluster_id}: upgrade the cluster, "
                "which moves its members one at a time"
            )
        engine = engine_of(instance.version.datastore)
        target = self._target(engine, instance.version, target_ref)
        return upgrade_instance(self._instance_world(instance, target), target, options)

    def upgrade_instance(self, instance: Instance, target_ref: str, options: UpgradeOptions) -> Operation:
        plan = self.plan_upgrade_instance(instance, target_ref, options)
        return self._accept(plan, instance.project_id, task=InstanceTask.UPGRADING)

    def rename_instance(self, instance: Instance, name: str) -> None:
        self.store.update_instance(instance.id, name=name)

    def reset_instance_status(self, instance: Instance) -> None:
        if instance.cluster_id is not None and (held := self._unfinished(instance.cluster_id)):
            raise Unprocessable(
                f"operation {held.id} ({held.kind}) holds the cluster of {instance.name}; end it, or reset the cluster"
            )
        self._end_unfinished(instance.id)
        if instance.task is not InstanceTask.NONE:
            self.store.reset_task(instance_id=instance.id)

    # -- clusters ------------------------------------------------------------------------------------------------

    def create_cluster(self, project_id: str, request: NewCluster) -> Operation:
        engine = engine_of(request.version.datastore)
        if engine.cluster_kind is None:
            raise NotSupported(f"{request.version.datastore} has no clusters")
        _enough(engine, request)
        names = _names(request.name, request.members, set())
        count = len(request.members)
        addresses = self.store.reserve_addresses(count + (1 if engine.has_endpoint else 0))
        try:
            cluster_id = str(uuid.uuid4())
            members = tuple(
                replace(
                    _new_instance(
                        project_id,
                        name,
                        request.version,
                        member,
                        engine,
                        address,
                        InstanceTask.BUILDING,
                    ),
                    cluster_id=cluster_id,
                )
                for member, name, address in zip(request.members, names, addresses[:count], strict=True)
            )
            cluster = Cluster(
                id=cluster_id,
                project_id=project_id,
                name=request.name,
                version=request.version,
                task=ClusterTask.BUILDING,
                members=members,
                endpoint_address=addresses[count] if engine.has_endpoint else None,
                endpoint_port=engine.port if engine.has_endpoint else None,
                options={**request.options, **({"locality": request.locality} if request.locality else {})},
            )
            secret = {**_accounts(request.users, request.databases), "cluster_secret": secrets.token_urlsafe(24)}
            plan = lifecycle.build_cluster(World(engine, cluster=cluster), cluster_id)
            return self._accept(
                plan,
                project_id,
                new_instances=members,
                new_cluster=cluster,
                secrets={cluster_id: secret},
                limits=self.quotas.limits(project_id),
            )
        except TroveError:
            self.store.release_addresses(addresses)
            raise

    def delete_cluster(self, cluster: Cluster) -> Operation:
        """Remove it with all members; as `delete_instance`."""
        plan = lifecycle.delete_cluster(self._cluster_world(cluster))
        return self._accept(
            plan,
            cluster.project_id,
            task=ClusterTask.DELETING,
            member_tasks={member.id: InstanceTask.DELETING for member in cluster.members},
        )

    def restart_cluster(self, cluster: Cluster) -> Operation:
        plan = lifecycle.restart_cluster(self._cluster_world(cluster))
        return self._accept(plan, cluster.project_id, task=ClusterTask.RESTARTING)

    def grow_cluster(self, cluster: Cluster, members: Sequence[NewMember]) -> Operation:
        engine = engine_of(cluster.version.datastore)
        names = _names(cluster.name, members, {member.name for member in cluster.members})
        addresses = self.store.reserve_addresses(len(members))
        try:
            new = tuple(
                replace(
                    _new_instance(
                        cluster.project_id,
                        name,
                        cluster.version,
                        member,
                        engine,
                        address,
                        InstanceTask.BUILDING,
                    ),
                    cluster_id=cluster.id,
                )
                for member, name, address in zip(members, names, addresses, strict=True)
            )
            plan = lifecycle.grow_cluster(replace(self._cluster_world(cluster), new_members=new))
            return self._accept(
                plan,
                cluster.project_id,
                task=ClusterTask.GROWING,
                new_instances=new,
                limits=self.quotas.limits(cluster.project_id),
            )
        except TroveError:
            self.store.release_addresses(addresses)
            raise

    def shrink_cluster(self, cluster: Cluster, instance_ids: Sequence[str]) -> Operation:
        plan = lifecycle.shrink_cluster(self._cluster_world(cluster), instance_ids)
        return self._accept(plan, cluster.project_id, task=ClusterTask.SHRINKING)

    def plan_upgrade_cluster(self, cluster: Cluster, target_ref: str, options: UpgradeOptions) -> Plan:
        engine = engine_of(cluster.version.datastore)
        target = self._target(engine, cluster.version, target_ref)
        return upgrade_cluster(self._cluster_world(cluster, target), target, options)

    def upgrade_cluster(self, cluster: Cluster, target_ref: str, options: UpgradeOptions) -> Operation:
        plan = self.plan_upgrade_cluster(cluster, target_ref, options)
        return self._accept(plan, cluster.project_id, task=ClusterTask.UPGRADING)

    def rename_cluster(self, cluster: Cluster, name: str) -> None:
        self.store.update_cluster(cluster.id, name=name)

    def reset_cluster_status(self, cluster: Cluster) -> None:
        self._end_unfinished(cluster.id)
        self.store.reset_task(cluster_id=cluster.id)

    # -- operations ----------------------------------------------------------------------------------------------

    def resume(self, operation: Operation) -> Operation:
        if operation.can_resume and operation.forward_again is None:
            return self.rollback(operation)  # half undone: the only way on is to the end of the rollback
        return self._request(operation, "resume")

    def rollback(self, operation: Operation) -> Operation:
        return self._request(operation, "rollback")

    def _request(self, operation: Operation, action: str) -> Operation:
        changed = self.store.request(operation.id, action)
        self.wake()
        return changed

    # -- quotas --------------------------------------------------------------------------------------------------

    def limits(self, project_id: str) -> Mapping[str, int]:
        return self.quotas.limits(project_id)

    def set_limits(self, project_id: str, limits: Mapping[str, int]) -> None:
        self.quotas.set_limits(project_id, limits)

    # -- inside --------------------------------------------------------------------------------------------------

    def _accept(
        self,
        plan: Plan,
        project_id: str,
        *,
        task: Task | None = None,
        member_tasks: Mapping[str, Task] | None = None,
        **more: Any,
    ) -> Operation:
        refuse(plan.blockers)
        operation = self.store.accept(
            Acceptance(
                plan=plan,
                project_id=project_id,
                on_failure=plan.on_failure,
                resource_task=task,
                member_tasks=member_tasks or {},
                **more,
            )
        )
        self.wake()
        return operation

    def _target(self, engine: Engine, current: DatastoreVersion, ref: str) -> DatastoreVersion:
        """Find a version by id or name, first in the current datastore, then in its family (Redis -> Valkey)."""
        everything = [v for d in self.store.datastores(include_inactive=True) for v in d.versions]
        by_id = [version for version in everything if version.id == ref.lower()]
        if by_id:
            return by_id[0]
        for datastore in (current.datastore, *engine.datastores):
            for version in everything:
                if version.datastore == datastore and version.name == ref:
                    return version
        offered = (v for v in everything if v.datastore in engine.datastores and v.active)
        names = ", ".join(f"{v.datastore} {v.name}" for v in offered)
        raise NotFound("datastore version", ref, f"offered are {names}")

    def _instance_world(self, instance: Instance, target: DatastoreVersion | None = None) -> World:
        engine = engine_of(instance.version.datastore)
        return World(
            engine,
            versions=self._versions(engine),
            instance=instance,
            hops=upgrade_hops(engine, instance.version.key, target.key) if target else (),
            stale=_stale([instance]),
            busy=self._busy(instance.id),
        )

    def _cluster_world(self, cluster: Cluster, target: DatastoreVersion | None = None) -> World:
        engine = engine_of(cluster.version.datastore)
        return World(
            engine,
            versions=self._versions(engine),
            cluster=cluster,
            hops=upgrade_hops(engine, cluster.version.key, target.key) if target else (),
            stale=_stale(cluster.members),
            busy=self._busy(cluster.id),
        )

    def _versions(self, engine: Engine) -> dict[tuple[str, str], DatastoreVersion]:
        return {
            version.key: version
            for datastore in self.store.datastores(include_inactive=True)
            if datastore.name in engine.datastores
            for version in datastore.versions
        }

    def _unfinished(self, resource_id: str) -> Operation | None:
        latest = self.store.latest_operations([resource_id]).get(resource_id)
        return latest if latest is not None and not latest.status.final else None

    def _busy(self, resource_id: str) -> Busy | None:
        latest = self._unfinished(resource_id)
        return Busy(latest.id, latest.kind, latest.status) if latest else None

    def _abandon_held(self, resource_id: str) -> None:
        """End an operation that waits for a person, on an administrator's word."""
        latest = self._unfinished(resource_id)
        if latest is not None and latest.status is OperationStatus.HELD:
            self.store.add_event(latest.id, "warning", f"given up: {latest.resource_name} was reset")
            self.store.set_status(
                None,
                latest.id,
                OperationStatus.FAILED,
                error=latest.error or "given up by a reset",
                expect=OperationStatus.HELD,
            )

    def _end_unfinished(self, resource_id: str) -> None:
        latest = self._unfinished(resource_id)
        if latest is not None and latest.status is not OperationStatus.HELD:
            raise Unprocessable(
                f"operation {latest.id} ({latest.kind}) is {latest.status} and goes on by itself; "
                "wait for it, or ask it to roll back"
            )
        self._abandon_held(resource_id)


def refuse(blockers: Sequence[Blocker]) -> None:
    """Raise what the blockers amount to: what was asked wrongly first (400), else what speaks against it now."""
    if not blockers:
        return
    wrong = [blocker.reason for blocker in blockers if blocker.code == 400]
    if wrong:
        raise BadRequest(*(blocker.reason for blocker in blockers))
    raise Unprocessable(*(blocker.reason for blocker in blockers))


def _stale(members: Sequence[Instance]) -> frozenset[str]:
    oldest = (datetime.now(UTC).replace(tzinfo=None) - STALE_AFTER).isoformat()
    return frozenset(m.id for m in members if m.health is None or m.health.observed_at < oldest)


def _standalone(instance: Instance, verb: str) -> None:
    if instance.cluster_id is not None:
        raise NotSupported(
            f"{instance.name} is a member of cluster {instance.cluster_id}: {verb} the cluster instead"
            + (" or shrink it" if verb == "delete" else "")
        )


def _enough(engine: Engine, request: NewCluster) -> None:
    count, least = len(request.members), engine.min_cluster_members
    if count < least:
        raise BadRequest(
            f"a cluster of {request.version.datastore} needs at least {least} instances, {count} were given"
        )
    if engine.cluster_kind == "redis_cluster" and count % 2:
        raise BadRequest(
            f"a cluster of {request.version.datastore} is made of pairs of a primary and a replica: {count} is not even"
        )


def _names(cluster: str, members: Sequence[NewMember], taken: set[str]) -> list[str]:
    """Name every new member, those without a name by the next free number; names are unique within a cluster."""
    given = [member.name for member in members if member.name]
    twice = sorted({name for name in given if given.count(name) > 1})
    clash = sorted(taken & set(given))
    reasons = [f"cluster {cluster} has a member {name} already" for name in clash]
    reasons += [f"two members are to be named {name}" for name in twice]
    if reasons:
        raise BadRequest(*reasons)
    used = taken | set(given)
    free = (name for number in itertools.count(1) if (name := f"{cluster}-member-{number}") not in used)
    return [member.name or next(free) for member in members]


def _new_instance(
    project_id: str,
    name: str,
    version: DatastoreVersion,
    size: NewInstance | NewMember,
    engine: Engine,
    address: str,
    task: Task,
) -> Instance:
    return Instance(
        id=str(uuid.uuid4()),
        project_id=project_id,
        name=name,
        version=version,
        flavor_id=size.flavor.id,
        volume_gb=size.volume_gb,
        address=address,
        port=engine.port,
        task=task,
        ram_mb=size.flavor.ram,
        vcpus=size.flavor.vcpus,
    )


def _accounts(users: Sequence[NewUser], databases: Sequence[NewDatabase]) -> dict[str, Any]:
    """Accounts and schemas in the form the agents take."""
    accounts: dict[str, Any] = {}
    if users:
        accounts["users"] = [
            {
                "name": user.name,
                "password": user.password,
                "host": user.host,
                "databases": [{"name": name} for name in user.databases],
            }
            for user in users
        ]
    if databases:
        accounts["databases"] = [
            {key: value for key, value in asdict(database).items() if value is not None} for database in databases
        ]
    return accounts
