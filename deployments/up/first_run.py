"""A run that `make up` starts when it starts, such as the first import, and prints until it has ended."""

import sys
import time

import httpx

from db.times import duration_text
from deployments.prefect_api import PrefectApi
from deployments.up.terminal import NAME_WIDTH, print_line

POLL_SECONDS = 1.0


class FirstRun:
    """A run whose state is printed whenever it changes."""

    def __init__(self, job: str, server: PrefectApi, run_id: str) -> None:
        self._job, self._server, self._run_id = job, server, run_id
        self._next_poll = 0.0
        self._printed = ""
        self._ended = False

    def follow(self) -> None:
        """Print the progress of the run, or how it ended, if it has changed; asks the server at most once a second."""
        if self._ended or time.monotonic() < self._next_poll:
            return
        self._next_poll = time.monotonic() + POLL_SECONDS
        try:
            run = self._server.run_state(self._run_id)
            progress = self._server.progress(self._run_id) if run.type == "RUNNING" else None
        except (httpx.HTTPError, ValueError):
            return  # the server is busy or is being restarted; the run continues without it
        self._ended = run.final
        text = run.name if progress is None else f"{run.name} {progress:.0f} %"
        if run.type in {"SCHEDULED", "PENDING"}:
            text = "waits for the worker"
        if run.final:
            text = f"{run.name} after {duration_text(run.seconds)}{': ' if run.message else ''}{run.message}"
        if text == self._printed:
            return
        # A terminal shows one line that changes; a file gets a line for each state.
        terminal = sys.stdout.isatty()
        if terminal or run.final or progress is None:
            start = "\r\033[K" if terminal and self._printed else ""
            print_line(f"{start}{self._job:<{NAME_WIDTH}}", text, end="" if terminal and not run.final else "\n")
        self._printed = text
