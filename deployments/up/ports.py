"""The port of the Prefect server."""

import socket
from collections.abc import Iterator

import httpx

from deployments.prefect_api import PasswordRequiredError, PrefectApi
from deployments.up.settings import StartError
from deployments.up.terminal import print_line

FIRST_PORT = 4200
PORTS_TRIED = 50


def free_ports(wanted: int | None) -> Iterator[int]:
    """Ports that are free when they are yielded: only the wanted one, or one after another from FIRST_PORT.

    Raises:
        StartError: there is no other free port.
    """
    if wanted is not None:
        if not _is_taken(wanted):
            yield wanted
        raise StartError(
            f"UI_PORT={wanted} is in use by another program. Stop it, or give another: UI_PORT={wanted + 1}"
        )
    for port in range(FIRST_PORT, FIRST_PORT + PORTS_TRIED):
        if not _is_taken(port):
            if port != FIRST_PORT:
                by = "another Prefect server" if _is_prefect(FIRST_PORT) else "another program"
                print_line("server", f"port {FIRST_PORT} is in use by {by}, taking {port} (UI_PORT sets it)")
            yield port
    raise StartError(
        f"Ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} are all in use; give a free one: UI_PORT=..."
    )


def _is_taken(port: int) -> bool:
    """Whether a program listens on this port of this machine, or this user may not."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _is_prefect(port: int) -> bool:
    """Whether a Prefect server answers on this port."""
    try:
        return PrefectApi(f"http://127.0.0.1:{port}/api", ours=True).healthy()
    except PasswordRequiredError:
        return True
    except (httpx.HTTPError, ValueError):
        return False
