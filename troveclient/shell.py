"""The `trove` shell: the same commands under their older names."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, cast

from troveclient import exceptions, utils
from troveclient.commands import model, output
from troveclient.commands.index import TABLE, Row

DEFAULT_OS_DATABASE_API_VERSION = "1.0"
DEFAULT_TROVE_ENDPOINT_TYPE = "publicURL"
DEFAULT_TROVE_SERVICE_TYPE = "database"

NO_USERNAME = "You must provide a username via either --os-username or env[OS_USERNAME]"
NO_PASSWORD = "You must provide a password via either --os-password, env[OS_PASSWORD], or prompted response"
NO_AUTH_URL = (
    "You must provide an auth url via either --os-auth-url or env[OS_AUTH_URL] "
    "or specify an auth_system which defines a default url with --os-auth-system or env[OS_AUTH_SYSTEM]"
)
NO_PROJECT = (
    "You must provide a project_id or project_name (with project_domain_name or project_domain_id) via "
    "  --os-project-id (env[OS_PROJECT_ID])  --os-project-name (env[OS_PROJECT_NAME]),"
    "  --os-project-domain-id (env[OS_PROJECT_DOMAIN_ID])  --os-project-domain-name (env[OS_PROJECT_DOMAIN_NAME])"
)
_HELP_WORDS = ("help", "--help", "-h", "--version", "bash-completion", "bash_completion")
_LOCAL = {
    "help": "Describe this program or one of its commands.",
    "bash-completion": "Print all commands and options, for completion in shells.",
}


class _UnknownCommand(exceptions.CommandError):
    """A word that is no command: wrong usage, like an option that does not exist."""


def commands() -> dict[str, Row]:
    """Command name of this shell to its row of the index."""
    return {name: row for row in TABLE for name in row.trove.split()}


class TroveContext(model.Context):
    """What a command is given when `trove` runs it."""

    def __init__(self, client: Any, as_json: bool = False) -> None:
        super().__init__(client, "trove")
        self.table = not as_json
        self.admin = False

    def wide(self, rows: Any) -> Any:
        self.admin = True
        return rows


def perform(row: Row, ctx: TroveContext, args: argparse.Namespace) -> int:
    """Run a command and print what it returns; the result is the exit code."""
    module, _, name = row.run.partition(":")
    run = getattr(import_module(f"troveclient.commands.{module}"), name)
    result = run(ctx, args)
    if row.kind == "do":
        return result or 0
    if row.kind == "show":
        if isinstance(result, tuple):
            result = dict(zip(*result, strict=True))
        print(output.table(("Property", "Value"), sorted(result.items())) if ctx.table else output.as_json(result))
        return 0
    definition = run.definition
    columns = ctx.chosen_columns or (
        definition.admin_columns if ctx.admin else definition.trove_columns or definition.columns
    )
    # A command may know more columns than this shell always showed.
    rows = [tuple(item)[: len(columns)] for item in result]
    if ctx.table:
        print(output.table(columns, rows))
    else:
        print(output.as_json([dict(zip(columns, item, strict=True)) for item in rows]))
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        self.print_usage(sys.stderr)
        program, _, command = self.prog.partition(" ")
        hint = f'Try "{program} help{" " + command if command else ""}" for more information.'
        self.exit(2, f"error: {message}\n{hint}\n")


class OpenStackTroveShell:
    """One command line, from words to exit code."""

    def get_base_parser(self, argv: Sequence[str] = (), login: bool = True) -> argparse.ArgumentParser:
        """The options before the command. With `login` those of the login plugin that the words name, too."""
        parser = _Parser(
            prog="trove",
            description="Command line of the database service.",
            epilog='See "trove help COMMAND" for help on a specific command.',
            add_help=False,
            allow_abbrev=False,
        )
        add, env = parser.add_argument, utils.env
        add("-h", "--help", action="store_true", help="Show this text.")
        add("--version", action="store_true", help="Show the version of the client.")
        add("--debug", action="store_true", default=bool(env("TROVECLIENT_DEBUG")), help="Show the requests.")
        add(
            "--service-type",
            metavar="<service-type>",
            default=env("OS_SERVICE_TYPE", "TROVE_SERVICE_TYPE"),
            help="Service type in the catalogue (database).",
        )
        add(
            "--service-name",
            metavar="<service-name>",
            default=env("TROVE_SERVICE_NAME"),
            help="Service name in the catalogue.",
        )
        add(
            "--bypass-url",
            metavar="<bypass-url>",
            default=env("TROVE_BYPASS_URL"),
            help="Use this endpoint instead of the catalogue's.",
        )
        add(
            "--database-service-name",
            metavar="<database-service-name>",
            default=env("TROVE_DATABASE_SERVICE_NAME"),
            help="Database service name in the catalogue.",
        )
        add(
            "--endpoint-type",
            metavar="<endpoint-type>",
            default=env("TROVE_ENDPOINT_TYPE", "OS_ENDPOINT_TYPE", default=DEFAULT_TROVE_ENDPOINT_TYPE),
            help="publicURL, internalURL or adminURL.",
        )
        add(
            "--os-database-api-version",
            metavar="<database-api-ver>",
            default=env("OS_DATABASE_API_VERSION", default=DEFAULT_OS_DATABASE_API_VERSION),
            help="1.0.",
        )
        add("--retries", metavar="<retries>", type=model.whole, default=0, help="How often to try a request again.")
        add(
            "--json",
            "--os-json-output",
            dest="json",
            action="store_true",
            default=bool(env("OS_JSON_OUTPUT")),
            help="Print JSON instead of tables.",
        )
        add("--os-cloud", metavar="<cloud>", default=env("OS_CLOUD"), help="Name of a cloud in clouds.yaml.")
        add("--os-region-name", metavar="<region-name>", default=env("OS_REGION_NAME"), help="Region to use.")
        add(
            "--os-auth-token",
            metavar="<auth-token>",
            default=env("OS_AUTH_TOKEN"),
            help="Use this token instead of a password.",
        )
        if "osprofiler" in sys.modules or env("OS_PROFILE_HMACKEY"):
            add("--profile", metavar="<hmac-key>", default=env("OS_PROFILE_HMACKEY"), help="Trace with this key.")
        if login:
            self._add_login_options(parser, argv)
        add("command", metavar="<command>", nargs="?")
        add("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
        return parser

    def _add_login_options(self, parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
        from keystoneauth1 import loading

        loading.register_session_argparse_arguments(parser)
        # These three of keystoneauth's are ours already under the same names.
        loading.register_auth_argparse_arguments(cast(Any, _Without(parser)), list(argv), default="password")
        for action in list(parser._actions):
            # Old scripts spell options with underscores.
            for name in action.option_strings:
                old = "--" + name[2:].replace("-", "_")
                if name.startswith("--os-") and old not in parser._option_string_actions:
                    parser._option_string_actions[old] = action

    def get_command_parser(self, name: str) -> argparse.ArgumentParser:
        """The parser of one command. Raises CommandError for a name that there is not."""
        row = commands().get(name)
        if row is not None:
            module, _, function = row.run.partition(":")
            definition = getattr(import_module(f"troveclient.commands.{module}"), function).definition
            parser = _Parser(prog=f"trove {name}", description=row.help)
            model.add_arguments(parser, definition)
            return parser
        added = self._extension_commands().get(name)
        if added is not None:
            parser = _Parser(prog=f"trove {name}", description=(added.__doc__ or "").strip())
            for names, options in getattr(added, "arguments", []):
                parser.add_argument(*names, **options)
            return parser
        raise _UnknownCommand(f"{name!r} is not a valid subcommand.{_similar(name)}")

    # Extensions: modules, files and entry points that others add.

    def _discover_extensions(self, version: str) -> list[Any]:
        from troveclient.extension import Extension

        found = []
        for source in (
            self._discover_via_python_path(),
            self._discover_via_contrib_path(version),
            self._discover_via_entry_points(),
        ):
            for name, module in source:
                found.append(Extension(name, module))
        return found

    def _discover_via_python_path(self) -> Iterator[tuple[str, Any]]:
        import pkgutil

        for info in pkgutil.iter_modules():
            if info.name.endswith("_python_troveclient_ext"):
                yield info.name, import_module(info.name)

    def _discover_via_contrib_path(self, version: str) -> Iterator[tuple[str, Any]]:
        from pathlib import Path

        folder = Path(__file__).parent / f"v{version.replace('.', '_').removesuffix('_0')}" / "contrib"
        for file in sorted(folder.glob("*.py")):
            if file.stem != "__init__":
                yield file.stem, import_module(f"troveclient.{folder.parent.name}.contrib.{file.stem}")

    def _discover_via_entry_points(self) -> Iterator[tuple[str, Any]]:
        from importlib import metadata

        for entry in metadata.entry_points(group="troveclient.extension"):
            yield entry.name, entry.load()

    _extensions: list[Any] | None = None

    def extensions(self) -> list[Any]:
        if self._extensions is None:
            self._extensions = self._discover_extensions(DEFAULT_OS_DATABASE_API_VERSION)
        return self._extensions

    def _extension_commands(self) -> dict[str, Any]:
        return {
            name[3:].replace("_", "-"): value
            for extension in self.extensions()
            for name, value in vars(extension.module).items()
            if name.startswith("do_") and callable(value)
        }

    # Running.

    def main(self, argv: Sequence[str]) -> int:
        """Run one command line; return its exit code. Raises what goes wrong, for `main` to print."""
        argv = list(argv)
        known = commands()
        quick = not argv or argv[0] in _HELP_WORDS
        if argv and argv[0] in known and {"-h", "--help"} & set(argv):
            return self.help(argv[0])
        parser = self.get_base_parser(argv, login=not quick)
        args = parser.parse_args(argv)
        if args.version:
            import troveclient

            print(troveclient.__version__)
            return 0
        if args.command in ("bash-completion", "bash_completion"):
            return self.completion()
        if args.command == "help" and args.words:
            return self.help(args.words[0])
        if args.help or args.command in (None, "help"):
            return self.help(None)
        for extension in self.extensions():
            extension.run_hooks("__pre_parse_args__", argv)
            break  # hooks are kept by class: once is all of them
        command_args = self.get_command_parser(args.command).parse_args(args.words)
        for name, value in vars(args).items():
            if name not in ("command", "words", "help", "version") and name not in command_args:
                setattr(command_args, name, value)
        for extension in self.extensions():
            extension.run_hooks("__post_parse_args__", command_args)
            break
        if args.debug:
            import logging

            # Which plugins exist is nobody's question here.
            logging.getLogger("stevedore").setLevel(logging.WARNING)
            logging.basicConfig(level=logging.DEBUG, format="%(levelname)s (%(module)s:%(lineno)d) %(message)s")
        client = self.make_client(args)
        row = known.get(args.command)
        if row is not None:
            return perform(row, TroveContext(client, as_json=args.json), command_args)
        return self._extension_commands()[args.command](client, command_args) or 0

    def make_client(self, args: argparse.Namespace) -> Any:
        """Log in as the options say. Raises CommandError when something needed is missing."""
        from troveclient import client

        common = {
            "service_type": args.service_type or DEFAULT_TROVE_SERVICE_TYPE,
            "service_name": args.service_name or None,
            "region_name": args.os_region_name or None,
            "endpoint_type": args.endpoint_type,
            "retries": args.retries,
            "extensions": self.extensions(),
        }
        version = args.os_database_api_version
        if args.os_auth_token and args.bypass_url:
            made = client.Client(
                version,
                getattr(args, "os_username", None),
                None,
                bypass_url=args.bypass_url,
                insecure=args.insecure,
                cacert=args.os_cacert,
                timeout=args.timeout,
                http_log_debug=args.debug,
                database_service_name=args.database_service_name or None,
                **common,
            )
            made.client.auth_token = args.os_auth_token
            return made
        if args.os_cloud:
            cloud = self._cloud(args.os_cloud, args.os_region_name or None)
            session = cloud.get_session()
            override = args.bypass_url or cloud.config.get("database_endpoint_override")
            common["region_name"] = cloud.config.get("region_name") or None
        else:
            session, override = self._session(args), args.bypass_url
        made = client.Client(
            version,
            session=session,
            endpoint_override=override or None,
            database_service_name=args.database_service_name or None,
            **common,
        )
        if not override and type(session.auth).__module__.startswith("keystoneauth1.identity"):
            made.get_database_api_version_from_endpoint()
        return made

    @staticmethod
    def _cloud(name: str, region: str | None) -> Any:
        """A cloud of clouds.yaml. Raises CommandError with the reason when it cannot be used."""
        from openstack import config

        try:
            return config.OpenStackConfig().get_one(cloud=name, region_name=region)
        except Exception as error:
            raise exceptions.CommandError(f"Cannot use the cloud {name!r}: {error}") from error

    def _session(self, args: argparse.Namespace) -> Any:
        from keystoneauth1 import loading

        if args.os_auth_token:
            auth = self._token_auth(args)
        else:
            if args.os_auth_type in ("password", "v2password", "v3password"):
                self._require_password_options(args)
            auth = loading.load_auth_from_argparse_arguments(args)
        return loading.load_session_from_argparse_arguments(args, auth=auth, app_name="python-troveclient")

    @staticmethod
    def _token_auth(args: argparse.Namespace) -> Any:
        from keystoneauth1 import identity

        if not args.os_auth_url:
            raise exceptions.CommandError(NO_AUTH_URL)
        names = ("project_id", "project_name", "project_domain_id", "project_domain_name")
        scope: dict[str, Any] = {name: getattr(args, f"os_{name}", None) for name in names}
        return identity.Token(args.os_auth_url, token=args.os_auth_token, **scope)

    @staticmethod
    def _require_password_options(args: argparse.Namespace) -> None:
        if not (args.os_username or getattr(args, "os_user_id", None)):
            raise exceptions.CommandError(NO_USERNAME)
        if not args.os_password:
            if sys.stdin is not None and sys.stdin.isatty():
                import getpass

                args.os_password = getpass.getpass("OS Password: ")
            if not args.os_password:
                raise exceptions.CommandError(NO_PASSWORD)
        if not args.os_auth_url:
            raise exceptions.CommandError(NO_AUTH_URL)
        if not (getattr(args, "os_project_id", None) or getattr(args, "os_project_name", None)):
            raise exceptions.CommandError(NO_PROJECT)
        if "v2.0" not in args.os_auth_url and args.os_auth_type == "password":
            for kind in ("user", "project"):
                named = getattr(args, f"os_{kind}_domain_id", None) or getattr(args, f"os_{kind}_domain_name", None)
                if not named and not (kind == "project" and args.os_project_id):
                    setattr(args, f"os_{kind}_domain_id", "default")

    # Help.

    def help(self, name: str | None) -> int:
        """Print help on this program, or on one command."""
        if name is not None:
            self.get_command_parser(name).print_help()
            return 0
        from io import StringIO

        text = StringIO()
        self.get_base_parser(login=False).print_help(text)
        body, _, epilog = text.getvalue().rpartition("See ")
        lines = {**{key: row.help for key, row in commands().items()}, **_LOCAL}
        if sys.stdout.isatty():
            lines.update({key: (fn.__doc__ or "").strip() for key, fn in self._extension_commands().items()})
        print(body.rstrip())
        print(
            "\nlogin options:\n  --os-auth-type, --os-auth-url, --os-username, --os-password, --os-project-name, ... as"
            "\n  keystoneauth knows them, each also as environment variable OS_...; or --os-cloud."
        )
        print("\ncommands:")
        width = max(len(key) for key in lines)
        for key in sorted(lines):
            print(f"  {key:<{width}}  {lines[key]}")
        print(f"\nSee {epilog}", end="")
        return 0

    def completion(self) -> int:
        """Print every command and option on one line."""
        words = set(commands()) | set(_LOCAL)
        options: set[str] = set()
        for row in commands().values():
            module, _, function = row.run.partition(":")
            definition = getattr(import_module(f"troveclient.commands.{module}"), function).definition
            options.update(name for item in definition.args for name in item.names if name.startswith("--"))
        options.update(self.get_base_parser(login=False)._option_string_actions)
        print(" ".join([*sorted(words), *sorted(options)]))
        return 0

    def do_bash_completion(self, _args: Any = None) -> int:
        return self.completion()

    def do_help(self, args: Any) -> int:
        return self.help(getattr(args, "command", None))


class _Without:
    """An argparse parser that skips options it already has."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser

    def add_argument(self, *names: str, **options: Any) -> Any:
        fresh = [name for name in names if name not in self._parser._option_string_actions]
        return self._parser.add_argument(*fresh, **options) if fresh else None

    def add_argument_group(self, *args: Any, **kwargs: Any) -> Any:
        group = self._parser.add_argument_group(*args, **kwargs)
        original = group.add_argument

        def add(*names: str, **options: Any) -> Any:
            fresh = [name for name in names if name not in self._parser._option_string_actions]
            return original(*fresh, **options) if fresh else None

        group.add_argument = add  # type: ignore[method-assign]
        return group


def _similar(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, commands(), n=3)
    return f" Did you mean: {', '.join(close)}?" if close else ' See "trove help".'


def main(argv: Sequence[str] | None = None) -> int:
    """The `trove` program: 0 well, 1 an error, 2 wrong usage, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # names the terminal has no letters for
    try:
        return OpenStackTroveShell().main(words)
    except KeyboardInterrupt:
        print("... terminating trove client", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except Exception as error:
        if "--debug" in words:
            import logging

            logging.getLogger("troveclient").debug("error", exc_info=True)
        from troveclient.commands import errors

        print(f"ERROR: {errors.explain(error) or error or type(error).__name__}", file=sys.stderr)
        return 2 if isinstance(error, _UnknownCommand) else 1


if __name__ == "__main__":
    sys.exit(main())
