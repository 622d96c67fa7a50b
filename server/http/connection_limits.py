"""How many connections a process may have, in all and from one address."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any


@dataclass(slots=True)
class ConnectionLimits:
    """The connections of a process, counted in all and by address; those of a trusted proxy are many clients'."""

    total: int
    per_address: int
    proxies: frozenset[str] = frozenset()
    open: int = 0
    _by_address: Counter[str] = field(default_factory=Counter)

    def admit(self, address: str) -> bool:
        """Count a connection, unless there are too many."""
        if self.open >= self.total:
            return False
        if self._by_address[address] >= self.per_address and not self._is_proxy(address):
            return False
        self.open += 1
        self._by_address[address] += 1
        return True

    def release(self, address: str) -> None:
        """Count a connection that is closed."""
        self.open -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]

    def _is_proxy(self, address: str) -> bool:
        """Return whether FORWARDED_ALLOW_IPS names the address, by itself or within a network."""
        if not self.proxies.isdisjoint({address, "*"}):
            return True
        networks = [proxy for proxy in self.proxies if "/" in proxy]
        # What is neither an address nor a network names a socket's file.
        with suppress(ValueError):
            return any(ip_address(address) in ip_network(network) for network in networks)
        return False


def address_of(transport: Any) -> str:
    """Return the address of the other side; empty for a socket that has none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) else ""
