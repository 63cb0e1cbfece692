"""What the address of a server is: valid, in a private network, behind a proxy.

A public server must not redirect a job to a private address (SSRF).
"""

import ipaddress
import re
import socket
import urllib.request
from contextlib import suppress

import httpx

from db.display import redacted

_NAME = re.compile(r"(?=.{1,253}\.?$)(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)  # IDNA is ASCII
_HIGHEST_PORT = 65535


def is_valid(url: httpx.URL) -> bool:
    """Whether it is http(s):// with a host and a port that can exist. httpx takes any text for a host."""
    host = url.raw_host.decode("ascii")
    return (
        url.scheme in {"http", "https"}
        and (url.port is None or 0 < url.port <= _HIGHEST_PORT)
        and (_is_ip(host) or is_name(host))
    )


def is_name(host: str) -> bool:
    """Whether it can be the name of a host, in ASCII."""
    return _NAME.fullmatch(host) is not None


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
    except ValueError:
        return False
    return True


def is_private(address: str) -> bool:
    """Whether an IP address is one of this machine, a private network or another range that is not public."""
    ip = ipaddress.ip_address(address.removeprefix("[").removesuffix("]").partition("%")[0])
    return not (getattr(ip, "ipv4_mapped", None) or ip).is_global


def is_loopback(host: str) -> bool:
    """Whether the host of an address can only be this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_private_literal(host: str) -> bool:
    """Whether a host, without asking a name server, is an address inside: a proxy is not asked to lead there."""
    if host.lower().rstrip(".") == "localhost":
        return True
    with suppress(OSError, ValueError):  # 127.1 and 2130706433 are addresses, too
        host = socket.inet_ntoa(socket.inet_aton(host))
    return _is_ip(host) and is_private(host)


def proxy_for(scheme: str, host: str) -> str | None:
    """Host and port of the proxy that the environment names for such an address, without its password."""
    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return None
    return redacted(address).partition("://")[2].partition("/")[0] or redacted(address)
