"""Clusters."""

from __future__ import annotations

from typing import Any

from troveclient import base, common
from troveclient.v1 import operations


class Cluster(base.Resource):
    """A cluster. `operation_id` names the operation that the last action started, None on servers without them."""

    operation_id: str | None = None

    def __repr__(self) -> str:
        return f"<Cluster: {self.name}>"

    def delete(self) -> None:
        self.manager.delete(self)

    def force_delete(self) -> None:
        self.manager.reset_status(self)
        self.manager.delete(self)


class Clusters(base.ManagerWithFind):
    resource_class = Cluster
    find_url = "/clusters"
    find_key = "clusters"

    def create(
        self,
        name: str,
        datastore: str,
        datastore_version: str,
        instances: Any = None,
        locality: str | None = None,
        extended_properties: dict[str, Any] | None = None,
        configuration: Any = None,
        users: Any = None,
        databases: Any = None,
    ) -> Cluster:
        """Create a cluster. `users` and `databases` are extensions of ours; deployed services ignore them."""
        optional = {
            "instances": instances,
            "locality": locality,
            "extended_properties": extended_properties,
            "configuration": base.getid(configuration) if configuration else None,
            "users": users,
            "databases": databases,
        }
        record = {
            "name": name,
            "datastore": {"type": base.getid(datastore), "version": base.getid(datastore_version)},
            **{key: value for key, value in optional.items() if value},
        }
        created: Cluster = self._create("/clusters", {"cluster": record}, "cluster")
        return created

    def list(self, limit: Any = None, marker: Any = None) -> common.Paginated:
        return self._paginated("/clusters", "clusters", limit, marker)

    def get(self, cluster: Any) -> Cluster:
        found: Cluster = self._get(f"/clusters/{base.getid(cluster)}", "cluster")
        return found

    def delete(self, cluster: Any) -> None:
        self._delete(f"/clusters/{base.getid(cluster)}")

    def force_delete(self, cluster: Any) -> None:
        """Clear the cluster's task, then delete it."""
        self.reset_status(cluster)
        self.delete(cluster)

    def _action(self, cluster: Any, body: dict[str, Any]) -> Any:
        url = f"/clusters/{base.getid(cluster)}"
        resp, answer = self.api.client.post(url, body=body)
        self._check(resp, answer, url)
        if not answer:
            return answer
        if "plan" in answer:
            return answer["plan"]
        result = self.resource_class(self, answer["cluster"], loaded=True)
        if isinstance(result, Cluster):
            result.operation_id = operations.id_from(resp.headers.get("Location"))
        return result

    def reset_status(self, cluster: Any) -> Any:
        return self._action(cluster, {"reset-status": {}})

    def grow(self, cluster: Any, instances: Any = None) -> Any:
        """Add members; `instances` as in create."""
        return self._action(cluster, {"grow": instances})

    def shrink(self, cluster: Any, instances: Any = None) -> Any:
        """Remove members; `instances` is a list of `{"id": …}`."""
        return self._action(cluster, {"shrink": instances})

    def add_shard(self, cluster: Any) -> Any:
        return self._action(cluster, {"add_shard": {}})

    def restart(self, cluster: Any) -> Any:
        """Restart the members, one after the other."""
        return self._action(cluster, {"restart": {}})

    def rename(self, cluster: Any, name: str) -> None:
        """Give a cluster another name; released servers refuse it."""
        self._edit(f"/clusters/{base.getid(cluster)}", {"cluster": {"name": name}})

    def resize_instance(self, cluster: Any, flavor_id: Any) -> Any:
        """Move every member to another flavor, one after the other; released servers refuse it."""
        return self._action(cluster, {"resize": {"flavorRef": base.getid(flavor_id)}})

    def resize_volume(self, cluster: Any, volume_size: int) -> Any:
        """Grow every member's volume to `volume_size` GB; released servers refuse it."""
        return self._action(cluster, {"resize": {"volume": {"size": volume_size}}})

    def upgrade(
        self,
        cluster: Any,
        datastore_version: Any,
        dry_run: bool = False,
        on_failure: str | None = None,
        hold: Any = None,
        accept_no_rollback: bool = False,
    ) -> Any:
        """Move a cluster to another datastore version, member by member. Objects or ids (versions: names too).

        Returns the cluster, or with `dry_run` the plan as a dictionary and nothing is touched. `on_failure` is
        "rollback" (the server's default) or "hold"; `hold` lists "canary", "switchover", "finalize". These
        keywords are sent only when given, because released servers do not know them.
        """
        body = operations.upgrade_body(datastore_version, dry_run, on_failure, hold, accept_no_rollback)
        return self._action(cluster, {"upgrade": body})

    def configuration_attach(self, cluster: Any, configuration: Any) -> Any:
        return self._action(cluster, {"configuration_attach": {"configuration_id": base.getid(configuration)}})

    def configuration_detach(self, cluster: Any) -> Any:
        return self._action(cluster, {"configuration_detach": {}})


class ClusterStatus:
    ACTIVE = "ACTIVE"
    BUILD = "BUILD"
    FAILED = "FAILED"
    SHUTDOWN = "SHUTDOWN"
