"""Which address a request really goes to, and whether it may: hosts of the source, a mirror, private networks, proxies.

A source speaks of the ministry's own addresses only. `base_url` replaces scheme and host of each of them.
"""

from collections.abc import Collection

import httpx

from db.display import redacted
from tasks.mofa.fetch_errors import FetchFailedError, FetchRefusedError
from tasks.private_network import is_loopback, is_private_literal, is_valid, proxy_for


class Addresses:
    """The addresses that one source may use.

    Args:
        hosts: host or host:port of every address.
        base_url: scheme and host of a mirror or test server.
    """

    def __init__(self, hosts: Collection[str], base_url: str | None) -> None:
        self._hosts = {host.lower() for host in hosts}
        self._base = _base(base_url) if base_url else None
        self.on_loopback = self._base is not None and is_loopback(self._base.host)

    @property
    def mirrored(self) -> bool:
        """Whether the pages come from another server than the ministry's."""
        return self._base is not None

    @property
    def first_host(self) -> str:
        """One of the hosts, for a message about all of them."""
        return min(self._hosts)

    def shown(self, url: str) -> str:
        """An address as errors name it: with the mirror that is really asked."""
        return f"{url} (from the mirror {redacted(str(self._base))})" if self._base else url

    def resolve(self, url: str, *, any_host: bool = False) -> httpx.URL:
        """The address that is requested for the ministry's address `url`. Raises FetchRefusedError if it may not be."""
        try:
            request_url = httpx.URL(url).copy_with(fragment=None, username=None, password=None)
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchRefusedError(f"{url!r} is no valid address: check the source") from error
        host = request_url.netloc.decode("ascii").rpartition("@")[2]
        if request_url.scheme in {"http", "https"} and not is_valid(request_url):
            raise FetchRefusedError(f"{url!r} is no valid address: check the source")
        if request_url.scheme not in {"http", "https"} or not host or (host not in self._hosts and not any_host):
            raise FetchRefusedError(f"{url} is not on a host of this source ({', '.join(sorted(self._hosts))})")
        if self._base:
            request_url = request_url.copy_with(scheme=self._base.scheme, netloc=self._base.netloc)
        return request_url

    def redirected(self, url: str, status: int, location: str) -> str:
        """The ministry's address to which the answer for `url` leads."""
        if not location:
            raise FetchFailedError(f"{self.shown(url)}: the server answers {status} without saying where", status)
        here = httpx.URL(url)
        try:
            there = here.join(location).copy_with(username=None, password=None)
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchRefusedError(f"{url} leads to {location[:200]!r}, which is no address") from error
        base = self._base
        if base and (there.scheme, there.host, there.port) == (base.scheme, base.host, base.port):
            there = there.copy_with(scheme=here.scheme, netloc=here.netloc)  # the mirror's name for the same server
        elif here.scheme == "https" and there.scheme == "http":
            there = there.copy_with(scheme="https")  # a front end that forgot TLS; never read what anyone could alter
        return str(there)

    def is_trusted(self, request_url: httpx.URL) -> bool:
        """Whether the server is the operator's choice: a mirror, or a proxy that resolves names and connects."""
        return self.mirrored or self.proxy(request_url) is not None

    def proxy(self, request_url: httpx.URL) -> str | None:
        """Host and port of the proxy that the environment names for this address, without its password."""
        if self.on_loopback:
            return None  # httpx is told to use none
        return proxy_for(request_url.scheme, request_url.host)


def refuse_private(url: str, address: str) -> None:
    """Raise FetchRefusedError for an IP address inside a private network: an attack, or a mistake of a name server."""
    if is_private_literal(address):
        raise FetchRefusedError(
            f"{url} leads to {address}, an address inside a private network: check the name server, or use --base-url "
            "for a test server"
        )


def _base(base_url: str) -> httpx.URL:
    try:
        base = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, ValueError):
        raise FetchRefusedError(
            f"base_url {redacted(base_url)!r} is no address: write for example http://127.0.0.1:8000"
        ) from None
    if not is_valid(base) or base.path not in {"", "/"} or base.query:
        raise FetchRefusedError("base_url replaces scheme and host only: write for example http://127.0.0.1:8000")
    return base
