"""Waiting for what another process or thread does."""

import time
from collections.abc import Callable
from typing import Any


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """Return what `true` returns once it is true; raise AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := true()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return result
