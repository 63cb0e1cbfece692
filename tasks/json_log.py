"""LOG_FORMAT=json: each line that a process writes is one JSON object, also what it prints and why it died.

Prefect has its own logging configuration. Its console handler is replaced by `JsonHandler`, with a setting of Prefect;
all else stays, also the handler that sends the log of a run to the server. The fields are in docs/observe.md.

In `make up` and the project's commands `use_log_format` does that. A worker that is started by hand has it with

    PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS=tasks.json_log.JsonHandler
"""

import atexit
import io
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, TextIO

from pydantic import Field

from db.display import redacted_in
from db.settings import ProjectSettings

PREFECT_SETTINGS = {"PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": "tasks.json_log.JsonHandler"}
MAX_RUNS = 1000  # whose fields are remembered
TRACEBACK = "Traceback (most recent call last):"
UNKNOWN = "<unknown>"  # Prefect's name of a flow that it has not loaded yet
_START = '{"time": "'  # of each line
_LEVEL = re.compile(r"^(?:[\d:.]+ \| )?(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")  # of a line that is a log already

_LEVELS = {"stdout": "INFO", "stderr": "WARNING"}  # of other lines that are printed

_runs: dict[str, dict[str, Any]] = {}  # id of a flow run -> fields of its lines
_current: ContextVar[str | None] = ContextVar("flow_run_id", default=None)


class LogSettings(ProjectSettings):
    """How logs are written."""

    log_format: Literal["text", "json"] = Field("text", description="Logs as text or as JSON, an object a line")


@cache
def log_settings() -> LogSettings:
    """The settings, read once.

    Raises:
        SettingsError: names the setting.
    """
    return LogSettings.load()


def use_log_format() -> bool:
    """Let this process, and those that it starts, write JSON if LOG_FORMAT asks for it; returns whether it does.

    A process that has imported Prefect already must set up Prefect's logging again.
    """
    if log_settings().log_format != "json":
        return False
    os.environ |= PREFECT_SETTINGS
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(JsonHandler())
    return True


# ---------------------------------------------------------------------- fields


@contextmanager
def describing_run(flow_run_id: object, **fields: Any) -> Iterator[None]:
    """Add these fields to the lines of a flow run, until the block ends: job, subject, import_id."""
    before = _runs.get(str(flow_run_id), {})
    describe_run(flow_run_id, **fields)
    try:
        yield
    finally:
        _runs[str(flow_run_id)] = before


def describe_run(flow_run_id: object, **fields: Any) -> None:
    """Add these fields to the lines of a flow run that follow."""
    run = str(flow_run_id)
    _current.set(run)
    _runs[run] = {**_runs.pop(run, {}), **fields}
    if len(_runs) > MAX_RUNS:
        del _runs[next(iter(_runs))]


def line(message: str, level: str, logger: str, at: float | None = None, /, **fields: Any) -> str:
    """One line of JSON, without a line break; fields without a value are left out. `at`: Unix time, now if None."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    content = {
        "time": moment.isoformat(timespec="milliseconds"),
        "level": level,
        "logger": logger,
        "message": message,
        **{name: value for name, value in fields.items() if value not in (None, "", {})},
    }
    return json.dumps(content, default=str)


def text_of(logged: str) -> str:
    """The message of a line of JSON, and the last line of its traceback; another line as it is."""
    if not logged.startswith(_START):
        return logged
    try:
        content: dict[str, Any] = json.loads(logged)
    except ValueError:
        return logged
    why = str(content.get("exception", "")).rpartition("\n")[2]
    return " ".join(filter(None, (str(content.get("message", "")), why)))


def _redacted(text: str) -> str:
    return "\n".join(redacted_in(each) for each in text.rstrip().splitlines())


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        about: Mapping[str, Any] = record.__dict__
        run = str(about.get("flow_run_id") or _current.get() or "")
        known = _runs.get(run, {})
        trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else None)
        return line(
            record.getMessage(),
            record.levelname,
            record.name,
            record.created,
            job=known.get("job") or str(about.get("flow_name") or "").replace(UNKNOWN, ""),
            subject=known.get("subject"),
            import_id=known.get("import_id"),
            flow_run_id=run,
            flow_run=about.get("flow_run_name"),
            step=about.get("task_run_name"),
            counts=about.get("counts"),
            exception=trace and _redacted(trace),
        )


# ---------------------------------------------------------------------- output


class JsonHandler(logging.StreamHandler[TextIO]):
    """Writes records as JSON; from then on, all other output of the process is JSON too, and so are its warnings."""

    def __init__(self, stream: TextIO | None = None, **_options: Any) -> None:
        chosen = stream or sys.stderr
        super().__init__(chosen.target if isinstance(chosen, PrintedLines) else chosen)
        super().setFormatter(JsonFormatter())
        _take_output()

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's own name
        """Nothing: Prefect's configuration names the formatter of its own handler."""


class PrintedLines(io.TextIOBase):
    """sys.stdout or sys.stderr: each line that is printed becomes a line of JSON, unless it is one already.

    The lines of a traceback become one. The process of a flow run writes into that of its worker, which writes both.
    """

    encoding = "utf-8"

    def __init__(self, name: str, target: TextIO) -> None:
        self.target = target
        self._name = name
        self._lock = threading.RLock()
        self._rest = ""  # of a line that is not complete
        self._trace: list[str] = []

    def writable(self) -> bool:
        """True."""
        return True

    def isatty(self) -> bool:
        """False: no colours, no progress bars."""
        return False

    def fileno(self) -> int:
        """The file descriptor of the stream itself."""
        return self.target.fileno()

    @property
    def buffer(self) -> Any:
        """The stream for bytes, which are written as they are."""
        return getattr(self.target, "buffer", None)

    def write(self, text: str) -> int:
        """Take a part of the output; complete lines are written."""
        with self._lock:
            *complete, self._rest = (self._rest + text).split("\n")
            self._write("".join(f"{each}\n" for each in map(self._json, complete) if each))
        return len(text)

    def flush(self) -> None:
        """Nothing: complete lines are written at once, others when they are complete."""

    def finish(self) -> None:
        """Write what is not complete."""
        with self._lock:
            if rest := self._json(self._rest) or self._json(self._trace.pop() if self._trace else ""):
                self._write(f"{rest}\n")
            self._rest, self._trace = "", []

    def _write(self, lines: str) -> None:
        if lines:
            self.target.write(lines)
            self.target.flush()

    def _json(self, printed: str) -> str | None:
        """What is written for a printed line; None for a blank or decorative one, and within a traceback."""
        text = printed.rpartition("\r")[2].rstrip()
        if text.startswith(_START):
            return text
        if text.startswith(TRACEBACK) or (self._trace and (not text or text.startswith(" "))):
            self._trace.append(text)
            return None
        if not any(character.isalnum() for character in text):
            return None
        trace, self._trace = self._trace, []
        found = _LEVEL.match(text)
        level = found[1] if found else "ERROR" if trace else _LEVELS[self._name]
        return line(
            " ".join(text.split()), level, self._name, exception=_redacted("\n".join([*trace, text])) if trace else None
        )


def _take_output() -> None:
    """Replace the output of this process, and log its warnings and the exceptions that end it or a thread."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, PrintedLines):
            lines = PrintedLines(name, stream)
            setattr(sys, name, lines)
            atexit.register(lines.finish)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda args: _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
    message = redacted_in(f"{kind.__name__}: {error}")
    record = logging.LogRecord("uncaught", logging.CRITICAL, "", 0, message, None, (kind, error or kind(), trace))
    sys.stderr.write(f"{JsonFormatter().format(record)}\n")
