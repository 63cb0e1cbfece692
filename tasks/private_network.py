"""Tells addresses of private networks from public ones: whoever answers from outside must not lead a job inside."""

import ipaddress
import urllib.request
from urllib.parse import urlsplit


def is_private(address: str) -> bool:
    """Whether an IP address is one of this machine, a private network or another range that is not public."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    return not (getattr(ip, "ipv4_mapped", None) or ip).is_global


def is_loopback(host: str) -> bool:
    """Whether the host of an address can only be this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def proxy_for(scheme: str, host: str) -> str | None:
    """Host and port of the proxy that the environment names for such an address, without its password."""
    proxies = urllib.request.getproxies()
    address = proxies.get(scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(host):
        return None
    return urlsplit(address if "//" in address else f"//{address}").netloc.rpartition("@")[2] or address
