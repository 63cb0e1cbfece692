"""What `make up` prints: a line for each thing, which starts with its name."""

import contextlib
import time
from collections.abc import Iterator

from db.display import printable
from db.times import duration_text
from deployments.up.stopping import Stopped

NAME_WIDTH = 11


def print_line(name: str, text: str, end: str = "\n") -> None:
    """Print a line, if there still is a terminal."""
    with contextlib.suppress(OSError):
        print(f"{name:<{NAME_WIDTH}} {printable(text)}", end=end, flush=True)


@contextlib.contextmanager
def timed(name: str, text: str) -> Iterator[None]:
    """Print what is being done and, when it is done, how long it took."""
    print_line(name, f"{text} ... ", end="")
    started = time.monotonic()
    result = "failed"
    try:
        yield
        result = duration_text(time.monotonic() - started)
    except Stopped:
        result = "stopped"
        raise
    finally:
        with contextlib.suppress(OSError):
            print(result, flush=True)
