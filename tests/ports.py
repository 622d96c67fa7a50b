"""Ports for what must come back to the same one, or cannot choose its own."""

import random
import socket
from contextlib import suppress
from typing import Final

# Below those that systems give to connections and to who asks for any: nobody takes one of these by chance.
_PORTS: Final = range(10_000, 30_000)


def free_port() -> int:
    """Return a port that nothing listens on, and that stays so while it is not used."""
    while True:
        port = random.choice(_PORTS)  # noqa: S311 - a port is no secret
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
