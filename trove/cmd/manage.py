"""`trove-manage`: what an operator does beside the API: see what runs, prepare images, remove everything."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence

from trove.cmd.config import make_config
from trove.cmd.installation import open_installation, sole_user
from trove.cmd.wiring import make_tools, open_database, state_dir_of
from trove.datastores.registry import ENGINES
from trove.domain.errors import DriverError, TroveError
from trove.domain.ports import Order
from trove.operations.context import Tools

DESCRIPTION = "Show, prepare and remove what the database service keeps on this machine."
EPILOG = "Options of the service (--state-dir, --images-dir, --mirror, --config-file …) go before the command."


def status(tools: Tools, args: argparse.Namespace) -> int:
    """Print every instance and endpoint with what runs and what its engine last said."""
    store = tools.store
    clusters = {cluster.id: cluster for cluster in store.all_clusters()}
    rows = [("INSTANCE", "CLUSTER", "ADDRESS", "SERVER", "ENGINE", "VERSION", "ROLE")]
    for instance in store.all_instances():
        cluster = clusters.get(instance.cluster_id or "")
        health = instance.health
        rows.append(
            (
                instance.name,
                cluster.name if cluster else "-",
                f"{instance.address}:{instance.port}",
                tools.compute.inspect(instance.id).state.value,
                health.status.value if health else "-",
                health.version_number if health else "-",
                health.role if health else "-",
            )
        )
    for cluster in clusters.values():
        if cluster.endpoint_address:
            runs = "RUNNING" if tools.endpoints.running(cluster.id) else "STOPPED"
            rows.append(
                ("(endpoint)", cluster.name, f"{cluster.endpoint_address}:{cluster.endpoint_port}", runs) + ("-",) * 3
            )
    _print_table(rows)
    unfinished = [
        operation
        for state in ("PENDING", "RUNNING", "ROLLING_BACK", "HELD")
        for operation in store.operations(None, limit=100, filters={"status": state}).items
    ]
    for operation in unfinished:
        print(f"{operation.kind} of {operation.resource_name}: {operation.status} {operation.status_text}")
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
    tools.images.delete(args.image)
    return 0


def purge(tools: Tools, args: argparse.Namespace) -> int:
    """Remove every database, address and record of this installation."""
    state_dir = args.installation.state_dir
    servers, endpoints = tools.compute.list(), tools.endpoints.list()
    print(f"This removes {len(servers)} instances with their data, {len(endpoints)} endpoints and {state_dir}.")
    if not args.yes and input("Type 'yes' to go on: ").strip() != "yes":
        print("Nothing was removed.")
        return 1
    with sole_user(state_dir):
        for cluster_id in endpoints:
            tools.endpoints.delete(cluster_id)
        order = Order("purge", 0, tools.store.next_fence())
        for instance_id in servers:
            tools.compute.delete(instance_id, order)
    shutil.rmtree(state_dir)
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


COMMANDS = ("status", "image", "purge")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 1 with one sentence when it is not possible."""
    args = list(sys.argv[1:] if argv is None else argv)
    at = next((index for index, word in enumerate(args) if word in COMMANDS), len(args))
    parser = _parser()
    if at == len(args):
        parser.parse_args(args)  # prints help or what is missing, and exits
    conf = make_config(args[:at], "trove-manage")
    parsed = parser.parse_args(args[at:])
    state_dir = state_dir_of(conf)
    try:
        if not (state_dir / "installation.json").exists() and parsed.run in (status, purge):
            raise DriverError(f"there is nothing in {state_dir}; name another directory with --state-dir")
        parsed.installation = open_installation(state_dir, conf.address_pool)
        run: Callable[[Tools, argparse.Namespace], int] = parsed.run
        return run(make_tools(conf, parsed.installation, open_database(conf, parsed.installation)), parsed)
    except (TroveError, OSError) as error:
        print(f"trove-manage: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, EOFError):
        print("Nothing more was done.", file=sys.stderr)
        return 130


def _first_line(function: Callable[..., int]) -> str:
    return (function.__doc__ or "").splitlines()[0].rstrip(".").lower()


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
