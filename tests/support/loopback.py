"""Servers on loopback that answer while a test runs."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer


class Quiet:
    """For handlers: requests are not logged."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def listening(server: ThreadingHTTPServer) -> Iterator[str]:
    """The host and port of a server that answers until the end of the block."""
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
