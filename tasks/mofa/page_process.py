"""Parses the pages of a source in a process of its own, with limits of memory and time (see page_worker.py)."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from tasks.mofa.embassy import from_json
from tasks.mofa.fetch_errors import FetchRefusedError
from tasks.mofa.page import Page, Source
from tasks.mofa.reading import Attempt, Reading, try_to_read

NO_MEMORY = 71  # exit code of a process that has no memory left
_SECONDS_TO_END = 2
_ENVIRONMENT = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "VIRTUAL_ENV"}


class PageProcess:
    """Reads pages: `with PageProcess(source, 1024, 60) as process: process.read(page)`. It starts with the first page.

    Args:
        source: one without an origin, made in code, is read in this process.
        memory_mb: address space that the process may use.
        seconds: CPU seconds that a page may take.
    """

    def __init__(self, source: Source, memory_mb: int, seconds: int) -> None:
        self._source, self._memory_mb, self._seconds = source, memory_mb, seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def read(self, page: Page) -> Attempt:
        """What is on the page. Raises FetchRefusedError: it takes more memory or time than the settings allow."""
        if not self._source.origin:
            return try_to_read(self._source, page)
        asked = {
            "url": page.url,
            "text": page.text,
            "status": page.status,
            "content_type": page.content_type,
            "final_url": page.final_url,
        }
        process = self._process = self._process or self._started()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process that parses pages has no pipes")
        with suppress(BrokenPipeError):  # it has ended: it sends no answer
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise FetchRefusedError(
                f"{page.url}: {self._why_ended(self._end())}: look at the page, or raise the setting"
            )
        return _attempt(page, json.loads(line))

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own module
            [
                *(sys.executable, "-m", "tasks.mofa.page_worker"),
                *(self._source.origin, str(self._memory_mb), str(self._seconds)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name[:6] == "PYTHON"},
        )

    def _end(self) -> int:
        """End the process; returns how it ended."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            process.communicate(timeout=_SECONDS_TO_END)  # it ends when its input does
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait()

    def _why_ended(self, how: int) -> str:
        if how == -signal.SIGXCPU:
            return f"parsing the page takes more than {self._seconds:,} seconds (MOFA_PARSE_SECONDS)"
        if how in (NO_MEMORY, -signal.SIGKILL):
            return f"parsing the page takes more than {self._memory_mb:,} MB (MOFA_PARSE_MEMORY_MB)"
        return f"the process that parses the page ended with {how} (its log says why; MOFA_PARSE_MEMORY_MB)"


def _attempt(page: Page, answer: dict[str, Any]) -> Attempt:
    if fault := answer.get("fault"):
        raise RuntimeError(f"{page.url}: the parser failed: {fault}")
    found = answer["reading"]
    reading = found and Reading(found["links"], [from_json(entry) for entry in found["entries"]])
    return Attempt(reading, answer["problem"], answer["refusal"])
