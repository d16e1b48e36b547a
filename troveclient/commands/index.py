"""Every command on one screen: its names in both shells, what it prints, its class for `openstack`, what it runs.

`kind` is "list" (rows under columns), "show" (one record) or "do" (lines, or nothing). Where several names stand
for one command, each has its own row; the `trove` names stand in the row of the released one.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    name: str  # the words after `openstack`; empty for commands of the `trove` shell alone
    trove: str  # the names in the `trove` shell, separated by blanks
    kind: str
    cls: str  # module:class below troveclient.osc.v1
    run: str  # module:function below troveclient.commands
    help: str
    shorter: str = ""  # the command that this one's name hides: see osc.v1.base


TABLE = (
    # datastores
    Row("datastore list", "datastore-list", "list", "datastores:ListDatastores", "datastores:list_datastores",
        "List datastores."),
    Row("datastore show", "datastore-show", "show", "datastores:ShowDatastore", "datastores:show_datastore",
        "Show a datastore with its versions."),
    Row("datastore version list", "datastore-version-list", "list", "datastores:ListDatastoreVersions",
        "datastores:list_versions", "List the versions of a datastore."),
    Row("datastore version show", "datastore-version-show", "show", "datastores:ShowDatastoreVersion",
        "datastores:show_version", "Show a datastore version."),
    # flavors
    Row("database flavor list", "flavor-list", "list", "database_flavors:ListDatabaseFlavors",
        "flavors:list_flavors", "List flavors."),
    Row("database flavor show", "flavor-show", "show", "database_flavors:ShowDatabaseFlavor",
        "flavors:show_flavor", "Show a flavor."),
    # instances
    Row("database instance list", "list", "list", "database_instances:ListDatabaseInstances",
        "instances:list_instances", "List instances."),
    Row("database instance show", "show", "show", "database_instances:ShowDatabaseInstance",
        "instances:show_instance", "Show an instance."),
    Row("database instance create", "create", "show", "database_instances:CreateDatabaseInstance",
        "instances:create_instance", "Create an instance."),
    Row("database instance delete", "delete", "do", "database_instances:DeleteDatabaseInstance",
        "instances:delete_instance", "Delete instances."),
    Row("database instance update", "update", "do", "database_instances:UpdateDatabaseInstance",
        "instances:update_instance", "Change name, configuration, replication source or access of an instance."),
    Row("database instance restart", "restart", "do", "database_instances:RestartDatabaseInstance",
        "instances:restart", "Restart the engine of an instance."),
    Row("database instance upgrade", "upgrade", "do", "database_instances:UpgradeDatabaseInstance",
        "instances:upgrade", "Move an instance to another datastore version."),
    # clusters
    Row("database cluster list", "cluster-list", "list", "database_clusters:ListDatabaseClusters",
        "clusters:list_clusters", "List clusters."),
    Row("database cluster show", "cluster-show", "show", "database_clusters:ShowDatabaseCluster",
        "clusters:show_cluster", "Show a cluster."),
    Row("database cluster create", "cluster-create", "show", "database_clusters:CreateDatabaseCluster",
        "clusters:create_cluster", "Create a cluster."),
    Row("database cluster delete", "cluster-delete", "do", "database_clusters:DeleteDatabaseCluster",
        "clusters:delete_cluster", "Delete clusters."),
    Row("database cluster force delete", "cluster-force-delete", "do",
        "database_clusters:ForceDeleteDatabaseCluster", "clusters:force_delete",
        "Clear the task of a cluster, then delete it."),
    Row("database cluster reset status", "cluster-reset-status", "do",
        "database_clusters:ResetDatabaseClusterStatus", "clusters:reset_status",
        "Clear the task of a cluster (administrators)."),
    Row("database cluster list instances", "cluster-instances", "list",
        "database_clusters:ListDatabaseClusterInstances", "clusters:list_instances",
        "List the members of a cluster."),
    Row("database cluster grow", "cluster-grow", "do", "database_clusters:GrowDatabaseCluster", "clusters:grow",
        "Add members to a cluster."),
    Row("database cluster shrink", "cluster-shrink", "do", "database_clusters:ShrinkDatabaseCluster",
        "clusters:shrink", "Remove members from a cluster."),
    Row("database cluster restart", "cluster-restart", "do", "database_more:RestartDatabaseCluster",
        "clusters:restart", "Restart the members of a cluster, one after the other."),
    Row("database cluster upgrade", "cluster-upgrade", "do", "database_clusters:UpgradeDatabaseCluster",
        "clusters:upgrade", "Move a cluster to another datastore version while it serves."),
    # operations
    Row("database operation list", "operation-list", "list", "database_more:ListDatabaseOperations",
        "operations:list_operations", "List operations, newest first."),
    Row("database operation show", "operation-show", "show", "database_more:ShowDatabaseOperation",
        "operations:show_operation", "Show an operation."),
    Row("database operation resume", "operation-resume", "do", "database_more:ResumeDatabaseOperation",
        "operations:resume", "Let a held operation go on."),
    Row("database operation rollback", "operation-rollback", "do", "database_more:RollbackDatabaseOperation",
        "operations:rollback", "Return what an operation touched to the old version."),
)
