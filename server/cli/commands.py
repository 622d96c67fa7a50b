"""The console script `tasktalk`."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any, Final

from server.cli.errors import CommandError

# What a command needs is imported when it runs, so that help comes at once.
_DESCRIPTION: Final = "The backend of an AI to-do app: GraphQL, REST and MCP over SQLModel."
_EPILOG: Final = "Settings come from the environment and from .env; docs/settings.md lists them."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; print an expected error in one line and return 2."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except KeyboardInterrupt:
        return 130
    except CommandError as error:
        return _fail(str(error))
    except Exception as error:
        from core.errors import TasktalkError
        from core.settings import SettingsError

        if isinstance(error, TasktalkError | SettingsError):
            return _fail(str(error))
        raise
    return 0


def _fail(message: str) -> int:
    print(f"tasktalk: {message}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tasktalk", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serving(commands)
    _add_accounts(commands)
    return parser


def _add_serving(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve the API; in development the database is migrated first",
        description="Serve the API. In development the database is migrated first; in production run "
        "`tasktalk migrate` before. SIGTERM or Ctrl-C lets running requests finish.",
    )
    serve.add_argument("--host", help="address to listen on (default: API_HOST, 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one (default: API_PORT, 8000)")
    serve.add_argument("--workers", type=_count, default=1, help="processes that serve (default: 1)")
    serve.set_defaults(command=_serve)

    migrate = commands.add_parser(
        "migrate",
        help="bring the database to the newest revision",
        description="Bring the database that DATABASE_URL names to the newest revision. Safe to run again.",
    )
    migrate.set_defaults(command=_migrate)

    schema = commands.add_parser(
        "schema",
        help="print the GraphQL schema as SDL",
        description="Print the GraphQL schema as SDL. Needs neither a database nor any setting.",
    )
    schema.set_defaults(command=_schema)


def _add_accounts(commands: Any) -> None:
    admin = commands.add_parser(
        "admin",
        help="make an account an admin",
        description="Make an account an admin, who may list, change and delete all accounts.",
    )
    admin.add_argument("email", metavar="EMAIL", help="the account's address, or its id")
    admin.set_defaults(command=_admin)

    demo = commands.add_parser(
        "demo",
        help="fill an account with a believable month of tasks and conversations",
        description="Fill an account with a believable month of tasks and conversations. "
        "An account that does not exist is made, and its password printed.",
    )
    demo.add_argument("email", metavar="EMAIL", nargs="?", default="demo@example.com", help="(default: %(default)s)")
    demo.set_defaults(command=_demo)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002 - argparse's name
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_arguments: object) -> None:
        from importlib.metadata import version

        print(f"tasktalk {version('tasktalk')}")
        parser.exit()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give 1 or more")


def _serve(options: argparse.Namespace) -> None:
    from core.settings import load_settings
    from server.serving import serve

    settings = load_settings()
    host = settings.api_host if options.host is None else options.host
    port = settings.api_port if options.port is None else options.port
    serve(settings, host=host, port=port, workers=options.workers)


def _migrate(_options: argparse.Namespace) -> None:
    import migrations
    from core.settings import load_settings
    from server.cli.database import migrate

    asyncio.run(migrate(load_settings()))
    print(f"The database is at revision {migrations.head_revision()}, the newest.")


def _schema(_options: argparse.Namespace) -> None:
    from server.graphql.schema import schema

    print(schema.as_str())


def _admin(options: argparse.Namespace) -> None:
    from core.errors import NotFoundError
    from core.settings import load_settings
    from server.cli.database import database_address, open_database
    from services.accounts.users import make_admin

    settings = load_settings()

    async def promote() -> str:
        async with open_database(settings) as database:
            user = await database.write(lambda session: make_admin(session, options.email))
        return user.email

    try:
        print(f"{asyncio.run(promote())} is an admin now.")
    except NotFoundError as error:
        # Run in another folder, the default database is another file.
        raise CommandError(f"{error} The database is {database_address(settings)}") from error


def _demo(options: argparse.Namespace) -> None:
    from core.settings import load_settings
    from server.cli.database import open_database
    from server.cli.demo import fill_account

    async def fill() -> str:
        settings = load_settings()
        async with open_database(settings) as database:
            return await fill_account(database, settings, options.email)

    print(asyncio.run(fill()))
