"""Put the parts together for one process: database, drivers, executor, API. The one place that knows all of them."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

from trove.api.settings import ApiSettings
from trove.cmd.config import default_state_dir, quota_defaults
from trove.cmd.installation import Installation, open_installation
from trove.compute.local import Bundle, Credentials, LocalCompute
from trove.datastores.registry import ENGINES, engine_of
from trove.db.seeds import seed
from trove.db.store import Store, open_store
from trove.endpoints.haproxy import HAProxyEndpoints
from trove.guest.bundle import bundle_digest, write_bundle
from trove.guest.client import GuestClient
from trove.guest.pki import Authority
from trove.images.builder import Builder
from trove.images.store import default_images_dir
from trove.operations.context import Tools
from trove.operations.executor import Executor
from trove.operations.monitor import Monitor
from trove.operations.quotas import Quotas
from trove.operations.reconcile import Reconciler
from trove.operations.service import Service


@dataclass(frozen=True)
class Parts:
    """Everything one process may need of the service."""

    installation: Installation
    tools: Tools
    store: Store
    service: Service
    executor: Executor
    monitor: Monitor
    reconciler: Reconciler

    def start_background(self) -> None:
        """Begin to run operations, to watch engines and to mend what is not as it should be."""
        for worker in (self.executor, self.monitor, self.reconciler):
            worker.start()

    def stop_background(self) -> None:
        """Stop these; databases go on running."""
        for worker in (self.executor, self.monitor, self.reconciler):
            worker.stop()
        self.store.close()


def state_dir_of(conf: cfg.ConfigOpts) -> Path:
    """The state directory as the options have it, absolute."""
    return Path(conf.state_dir or default_state_dir()).expanduser().absolute()


def open_database(conf: cfg.ConfigOpts, installation: Installation) -> Store:
    """Open the service database, bring its tables and its catalogue up to date."""
    store = open_store(conf.database_url or installation.database_url, installation.address_pool)
    seed(store, ENGINES)
    return store


def make_tools(conf: cfg.ConfigOpts, installation: Installation, store: Store) -> Tools:
    """Make the drivers for this machine."""
    state_dir = installation.state_dir

    def image_users(image_id: str) -> Sequence[str]:
        return [instance.name for instance in store.all_instances() if instance.image_id == image_id]

    images = Builder(
        state_dir,
        conf.mirror,
        images_dir=Path(conf.images_dir).expanduser().absolute() if conf.images_dir else default_images_dir(),
        users=image_users,
    )
    authority = Authority(state_dir)

    def credentials(instance_id: str, address: str) -> Credentials:
        return Credentials(*(part.decode() for part in authority.issue(instance_id, address)))

    return Tools(
        store=store,
        images=images,
        compute=LocalCompute(state_dir, images, credentials, Bundle(write_bundle, bundle_digest)),
        guests=GuestClient(authority.client_context()),
        endpoints=HAProxyEndpoints(state_dir),
        family_of=lambda datastore: engine_of(datastore).family,
    )


def make_parts(conf: cfg.ConfigOpts, installation: Installation | None = None) -> Parts:
    """Make everything; nothing runs yet."""
    installation = installation or open_installation(state_dir_of(conf), conf.address_pool)
    store = open_database(conf, installation)
    tools = make_tools(conf, installation, store)
    name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    executor = Executor(tools, name, workers=conf.workers, lease_seconds=conf.lease_seconds)
    reconciler = Reconciler(tools, conf.reconcile_period)
    return Parts(
        installation=installation,
        tools=tools,
        store=store,
        service=Service(store, Quotas(store, quota_defaults(conf)), executor.wake),
        executor=executor,
        monitor=Monitor(tools, conf.monitor_period, fallen_silent=reconciler.wake),
        reconciler=reconciler,
    )


def api_settings(conf: cfg.ConfigOpts, installation: Installation) -> ApiSettings:
    """What the API is told of this installation."""
    return ApiSettings(
        auth_strategy=conf.auth_strategy,
        htpasswd_file=str(installation.htpasswd),
        users_file=str(installation.users),
        keystone={"oslo_config_config": conf},
        policy_file=conf.policy_file,
        public_endpoint=conf.public_endpoint,
        region=conf.region,
        default_datastore=conf.default_datastore,
        max_volume_gb=conf.max_accepted_volume_size,
    )
