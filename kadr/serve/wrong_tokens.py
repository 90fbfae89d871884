"""Slow down and log clients that send wrong access tokens."""

import ipaddress
import logging
import time
from asyncio import sleep
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

MAX_CLIENTS = 10_000
"""Maximum number of clients whose wrong tokens are counted. Beyond it, the client with the oldest one is dropped."""

_N_FREE = 5  # number of wrong tokens without a delay, e.g. of a page with an old cookie
_FIRST_DELAY_S = 0.1
_MAX_DELAY_S = 5.0
_FORGET_AFTER_S = 900.0
_MAX_WAITING = 64  # number of responses that are delayed at the same time
_IPV6_PREFIX = 64  # number of bits of an IPv6 address that identify a client


@dataclass
class _Client:
    n_wrong: int = 0
    last_s: float = 0.0


class WrongTokens:
    """Count the wrong tokens of each client, and delay the responses to them.

    A request with the right token is never delayed, so nobody can lock out the owner of the token.

    Args:
        clock: function that returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._n_waiting = 0

    def __len__(self) -> int:
        """Return the number of clients whose wrong tokens are counted."""
        return len(self._clients)

    async def delay(self, address: str) -> None:
        """Log a wrong token, and wait. The time doubles with each wrong token of the client, up to 5 s.

        If many responses wait, the others do not wait, so that the waiting responses do not occupy all connections.

        Args:
            address: IP address of the client.
        """
        delay_s = self.count(address)
        if not delay_s or self._n_waiting >= _MAX_WAITING:
            return
        self._n_waiting += 1
        try:
            await sleep(delay_s)
        finally:
            self._n_waiting -= 1

    def count(self, address: str) -> float:
        """Count and log a wrong token of a client.

        Args:
            address: IP address of the client.

        Returns:
            Number of seconds by which the response should be delayed.
        """
        name, now = _client_name(address), self._clock()
        client = self._clients.pop(name, None) or _Client()
        if now - client.last_s > _FORGET_AFTER_S:
            client = _Client()
        client.n_wrong, client.last_s = client.n_wrong + 1, now
        self._clients[name] = client
        while len(self._clients) > MAX_CLIENTS:
            self._clients.popitem(last=False)
        if client.n_wrong & (client.n_wrong - 1) == 0:  # 1, 2, 4, 8, ..., so that the log stays short
            logger.warning("Wrong access token from %s (%s in total).", name, f"{client.n_wrong:,}")
        n_delayed = client.n_wrong - _N_FREE
        return min(_MAX_DELAY_S, _FIRST_DELAY_S * 2.0 ** min(n_delayed - 1, 20)) if n_delayed > 0 else 0.0


def _client_name(address: str) -> str:
    """Return the IPv4 address, or the network of an IPv6 address, in which one client can choose any address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "an unknown address"
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))
