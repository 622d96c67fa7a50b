"""The console script `tasktalk`."""

import argparse
import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Final

from server.cli.errors import CommandError

# What a command needs is imported when it runs, so that help comes at once.
_DESCRIPTION: Final = "The backend of an AI to-do app: GraphQL, REST and MCP over SQLModel."
_EPILOG: Final = "Settings come from the environment and from .env; docs/settings.md lists them."
# Its docstring is the description that --help shows.
Command = Callable[[argparse.Namespace], None]


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
    text = f"tasktalk {version('tasktalk')}"
    parser.add_argument("--version", action="version", version=text, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(command: Command, summary: str) -> argparse.ArgumentParser:
        name = command.__name__.removeprefix("_")
        added: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=command.__doc__)
        added.set_defaults(command=command)
        return added

    serve = add(_serve, "serve the API; in development the database is migrated first")
    serve.add_argument("--host", help="address to listen on (default: API_HOST, 127.0.0.1)")
    serve.add_argument("--port", type=_port, help="port to listen on; 0 takes a free one (default: API_PORT, 8000)")
    serve.add_argument("--workers", type=_count, default=1, help="processes that serve (default: 1)")
    add(_migrate, "bring the database to the newest revision")
    add(_restored, "let clients begin anew after the database was restored to an earlier state")
    add(_schema, "print the GraphQL schema as SDL")
    admin = add(_admin, "give an account the rights of an admin, or take them away")
    admin.add_argument("email", metavar="EMAIL", help="the account's address, or its id")
    admin.add_argument("--revoke", action="store_true", help="take the rights of an admin away")
    unverified = "the address is not verified, but the account is known to be theirs"
    admin.add_argument("--unverified", action="store_true", help=unverified)
    demo = add(_demo, "fill an account with a believable month of tasks and conversations")
    demo.add_argument("email", metavar="EMAIL", nargs="?", default="demo@example.com", help="(default: %(default)s)")
    return parser


def _port(text: str) -> int:
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 to 65535")


def _count(text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of processes; give 1 or more")


def _serve(options: argparse.Namespace) -> None:
    """Serve the API.

    In development the database is migrated first; in production run `tasktalk migrate` before. SIGTERM or Ctrl-C lets
    running requests finish.
    """
    # Nothing that is loaded is garbage: looking for some takes a fifth of the time. `serve` enables it again.
    gc.disable()
    try:
        from core.settings import load_settings
        from server.serving import serve

        settings = load_settings()
        host = settings.api_host if options.host is None else options.host
        port = settings.api_port if options.port is None else options.port
        # Links in e-mails lead here where nothing else is set.
        settings = settings.model_copy(update={"api_host": host, "api_port": port})
        serve(settings, host=host, port=port, workers=options.workers)
    finally:
        gc.enable()


def _migrate(_options: argparse.Namespace) -> None:
    """Bring the database that DATABASE_URL names to the newest revision. Safe to run again.

    With BETTER_AUTH_TABLE it makes the foreign key by which users follow that table, and without it removes it.
    """
    import migrations
    from core.settings import load_settings
    from server.cli.database import analyze, migrate, open_database

    async def run() -> str | None:
        settings = load_settings()
        followed = await migrate(settings)
        async with open_database(settings) as database:
            await analyze(database)
        return followed

    followed = asyncio.run(run())
    print(f"The database is at revision {migrations.head_revision()}, the newest.")
    if followed is not None:
        print(followed)


def _restored(_options: argparse.Namespace) -> None:
    """Refuse the cursors that clients got before the database was restored to an earlier state.

    Run it after each restore, before or while the servers run: clients are told to begin anew, and miss nothing.
    """
    from core.settings import load_settings
    from server.cli.database import analyze, migrate, open_database
    from services.sync.epoch import begin_epoch

    async def begin() -> None:
        settings = load_settings()
        await migrate(settings)
        async with open_database(settings) as database:
            await database.write(begin_epoch)
            await analyze(database)

    asyncio.run(begin())
    print("Cursors from before the restore are refused from now on; clients begin anew.")


def _schema(_options: argparse.Namespace) -> None:
    """Print the GraphQL schema as SDL. Needs neither a database nor any setting."""
    from server.graphql.schema import schema

    print(schema.as_str())


def _admin(options: argparse.Namespace) -> None:
    """Make an account an admin, who may list, change and delete all accounts.

    Its address must be verified, as that of a user of Better Auth may be, or else --unverified given.
    """
    from core.errors import ForbiddenError, NotFoundError
    from core.settings import load_settings
    from server.cli.database import database_address, open_database
    from services.accounts.users import set_admin

    settings = load_settings()

    async def change() -> str:
        async with open_database(settings) as database:
            is_admin, allow_unverified = not options.revoke, options.unverified
            work = partial(set_admin, email_or_id=options.email, is_admin=is_admin, allow_unverified=allow_unverified)
            return (await database.write(work)).email

    try:
        print(f"{asyncio.run(change())} is {'no admin any more' if options.revoke else 'an admin now'}.")
    except ForbiddenError as error:
        raise CommandError(f"{error} Where you know that it is theirs, add --unverified.") from error
    except NotFoundError as error:
        # Run in another folder, the default database is another file.
        raise CommandError(f"{error} The database is {database_address(settings)}") from error


def _demo(options: argparse.Namespace) -> None:
    """Fill an account with a believable month of tasks and conversations.

    An account that does not exist is made, and its password printed.
    """
    from core.settings import load_settings
    from server.cli.database import analyze, open_database
    from server.cli.demo import fill_account

    async def fill() -> str:
        settings = load_settings()
        async with open_database(settings) as database:
            text = await fill_account(database, settings, options.email)
            await analyze(database)
        return text

    print(asyncio.run(fill()))
