"""`trove-manage`: what an operator does beside the API: see what runs, prepare images, remove everything."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from trove.cmd.config import make_config
from trove.cmd.installation import open_installation, remove_files, sole_user, users_of
from trove.cmd.wiring import make_tools, open_database, state_dir_of
from trove.datastores.registry import ENGINES
from trove.domain.errors import DriverError, TroveError
from trove.domain.instances import Cluster
from trove.domain.ports import Order
from trove.domain.states import OperationStatus
from trove.operations.context import Tools

DESCRIPTION = "Show, prepare and remove what the database service keeps on this machine."
EPILOG = "Options of the service (--state-dir, --images-dir, --mirror, --config-file …) go before the command."
FLAGS = ("-h", "--help")
NOTHING = ("-",) * 4
UNFINISHED = [status.value for status in OperationStatus if not status.final]


def status(tools: Tools, args: argparse.Namespace) -> int:
    """Print every instance and address, what runs, what the engine last said, and unfinished operations."""
    users = users_of(args.installation.state_dir)
    print(f"Server: {', '.join(f'process {pid}' for pid in users) or 'none runs'}")
    store = tools.store
    clusters = {cluster.id: cluster for cluster in store.all_clusters()}
    instances = store.all_instances()
    rows = [("INSTANCE", "CLUSTER", "ADDRESS", "SERVER", "ENGINE", "VERSION", "ROLE", "SAID AT (UTC)")]
    for instance in sorted(instances, key=lambda i: (_name(clusters, i.cluster_id), i.name)):
        health = instance.health
        rows.append(
            (
                instance.name,
                _name(clusters, instance.cluster_id) or "-",
                f"{instance.address}:{instance.port}",
                tools.compute.inspect(instance.id).state.value,
                health.status.value if health else "-",
                (health.version_number if health else "") or "-",
                (health.role if health else "") or "-",
                (health.said_at[:19] if health else "") or "-",
            )
        )
    for cluster in clusters.values():
        if cluster.endpoint_address:
            runs = "RUNNING" if tools.endpoints.running(cluster.id) else "STOPPED"
            address = f"{cluster.endpoint_address}:{cluster.endpoint_port}"
            rows.append(("(endpoint)", cluster.name, address, runs, *NOTHING))
    lone = set(tools.compute.list()) - {instance.id for instance in instances}
    rows += [(key, "-", "-", "NO RECORD", *NOTHING) for key in sorted(lone)]
    lone = set(tools.endpoints.list()) - set(clusters)
    rows += [("(endpoint)", key, "-", "NO RECORD", *NOTHING) for key in sorted(lone)]
    _print_table(rows)
    for instance in instances:
        if instance.health and instance.health.reason:
            print(f"{instance.name}: {instance.health.reason}")
    for state in UNFINISHED:
        for operation in store.operations(None, limit=100, filters={"status": state}).items:
            said = f": {operation.status_text}" if operation.status_text else ""
            print(f"{operation.kind} of {operation.resource_name}: {operation.status}{said} ({operation.id})")
    return 0


def image_list(tools: Tools, args: argparse.Namespace) -> int:
    """Print all images."""
    rows = [("IMAGE", "ENGINE VERSION", "SIZE", "CREATED")]
    rows += [(image.id, image.engine_version, f"{image.size_mb} MB", image.created) for image in tools.images.list()]
    _print_table(rows)
    return 0


def image_build(tools: Tools, args: argparse.Namespace) -> int:
    """Build the named images, or all."""
    known = [release.recipe for engine in ENGINES for release in engine.releases]
    wanted = known if args.recipes == ["all"] else args.recipes
    for recipe in wanted:
        if recipe not in known:
            raise DriverError(f"there is no recipe '{recipe}'; there are {', '.join(known)}")
    for recipe in wanted:
        image = tools.images.ensure(recipe, lambda text: print(f"  {text}", flush=True))
        print(f"{image.id}: {image.engine_version}, {image.size_mb} MB", flush=True)
    return 0


def image_delete(tools: Tools, args: argparse.Namespace) -> int:
    """Remove an image nobody uses."""
    if tools.images.get(args.image) is None:
        raise DriverError(f"there is no image '{args.image}'; see `trove-manage image list`")
    tools.images.delete(args.image)
    return 0


def purge(tools: Tools, args: argparse.Namespace) -> int:
    """Remove every database, address and record of this installation."""
    state_dir = args.installation.state_dir
    with sole_user(state_dir):
        servers, endpoints = tools.compute.list(), tools.endpoints.list()
        print(f"This removes {len(servers)} instances with their data, {len(endpoints)} endpoints and {state_dir}.")
        if not args.yes and input("Type 'yes' to go on: ").strip() != "yes":
            print("Nothing was removed.")
            return 1
        # Rows first: they may be in a database that outlives this directory, and would have everything made anew.
        for cluster in tools.store.all_clusters():
            tools.store.update_cluster(cluster.id, deleted=True)
        for instance in tools.store.all_instances():
            tools.store.update_instance(instance.id, deleted=True)
        for cluster_id in endpoints:
            tools.endpoints.delete(cluster_id)
        order = Order("purge", 0, tools.store.next_fence())
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(lambda instance_id: tools.compute.delete(instance_id, order), servers))
        left = [*tools.compute.list(), *tools.endpoints.list()]
        if left:
            raise DriverError(f"something is still left of {', '.join(left)}; run `trove-manage purge` again")
        others = remove_files(args.installation)
    if others:
        print(f"{state_dir} stays, for it has other files: {', '.join(others)}.")
    print("Everything is removed. Images stay, as other installations may share them: see `trove-manage image`.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trove-manage", description=DESCRIPTION, epilog=EPILOG)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("status", help=_first_line(status)).set_defaults(run=status)
    images = commands.add_parser("image", help="build, list or delete images").add_subparsers(required=True)
    build = images.add_parser("build", help=_first_line(image_build))
    build.add_argument("recipes", nargs="+", help="for example mariadb-11.8; 'all' for everything")
    build.set_defaults(run=image_build)
    images.add_parser("list", help=_first_line(image_list)).set_defaults(run=image_list)
    delete = images.add_parser("delete", help=_first_line(image_delete))
    delete.add_argument("image", help="id of the image")
    delete.set_defaults(run=image_delete)
    everything = commands.add_parser("purge", help=_first_line(purge))
    everything.add_argument("--yes", action="store_true", help="do not ask")
    everything.set_defaults(run=purge)
    return parser


def split(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part the options of the service from the command behind them; each takes a value, but for FLAGS."""
    at = 0
    while at < len(args) and args[at].startswith("-") and args[at] not in FLAGS:
        at += 1 if "=" in args[at] else 2
    return list(args[:at]), list(args[at:])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 1 with one sentence when it is not possible, 2 when it is not understood."""
    options, command = split(sys.argv[1:] if argv is None else argv)
    parsed = _parser().parse_args(command)
    conf = make_config(options, "trove-manage")
    state_dir = state_dir_of(conf)
    try:
        if not (state_dir / "installation.json").exists() and parsed.run in (status, purge):
            raise DriverError(f"there is nothing in {state_dir}; name another directory with --state-dir")
        parsed.installation = open_installation(state_dir, conf.address_pool)
        run: Callable[[Tools, argparse.Namespace], int] = parsed.run
        with closing(open_database(conf, parsed.installation)) as store:
            return run(make_tools(conf, parsed.installation, store), parsed)
    except (TroveError, OSError) as error:
        print(f"trove-manage: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("Nothing more was done.", file=sys.stderr)
        return 130


def _name(clusters: Mapping[str, Cluster], cluster_id: str | None) -> str:
    cluster = clusters.get(cluster_id or "")
    return cluster.name if cluster else ""


def _first_line(function: Callable[..., int]) -> str:
    return (function.__doc__ or "").splitlines()[0].rstrip(".").lower()


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
