"""Runs one job in the foreground: `python -m flows.<job>`, for a person at a terminal or for cron.

Decides which Prefect server keeps the run (PREFECT_API_URL, else that of `make up`, else an ephemeral one) and what
the person sees: a progress bar on a terminal, a line for each batch elsewhere, and one plain line at the end. With
LOG_FORMAT=json it is the log instead. The
embedded database is started if no other is set, and stopped again if no other client uses it. Exit code 0: done, or
done before; 1: refused, held or failed.
"""

import contextlib
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from prefect import Flow, State
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_SERVER_API_AUTH_STRING,
    temporary_settings,
)
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from db.display import printable, redacted, redacted_in
from db.engine import database_of_command, database_settings, database_url
from db.errors import JobError, UserError
from db.private_files import make_data_dir, make_private
from db.schema import upgrade
from flows.admission import listener as waiting
from tasks.json_log import use_log_format
from tasks.notify.steps import listener as unsent
from tasks.prefect_server import PrefectServer, password_required, server_in_use
from tasks.state_names import HELD


def run_in_foreground(
    flow: Flow[..., Any],
    parameters: dict[str, Any],
    listening: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    show: Callable[[Any], str | None] = lambda _result: None,
) -> int:
    """Run `flow` to its end; returns the exit code.

    Args:
        flow: a flow of this project; it returns a state with one sentence.
        parameters: its parameters.
        listening: shows progress while the flow runs.
        show: returns more about a result, as Markdown, which is printed before the sentence.
    """
    waiting.set(lambda why: print(why, file=sys.stderr))
    unsent.set(_printing_once())
    try:
        _require_text(parameters)
        as_json = use_log_format()
        with _database(), _prefect(as_json=as_json), contextlib.nullcontext() if as_json else listening():
            state: State[Any] = flow(**parameters, return_state=True)  # type: ignore[assignment]
    except JobError as error:
        return _end(1, str(error))
    except KeyboardInterrupt:
        return _end(130, "stopped; run it again to resume it")
    except (httpx.HTTPStatusError, RuntimeError) as error:  # Prefect's own: no server can be started, reached or used
        return _end(1, _explained(error))
    result = state.result(raise_on_failure=False)
    has_result = result is not None and not isinstance(result, BaseException)  # a failed run may have neither
    if has_result and (more := show(result)):
        console = Console()
        console.print(Markdown(more)) if console.is_terminal else print(more)
    if not state.is_completed():
        return _end(1, state.message or f"the run ended as {state.name}")
    return _end(1 if state.name == HELD else 0, state.message or "done")


def _require_text(parameters: dict[str, Any]) -> None:
    """Raise UserError for bytes that are no text: Prefect cannot store them."""
    for name, value in parameters.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(
                f"{name} {redacted(str(value))} is not UTF-8: rename the file, or give a pattern that matches it, such "
                "as folder/*.csv"
            ) from None


def _explained(error: httpx.HTTPStatusError | RuntimeError) -> str:
    """The sentence about a run that could not begin."""
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.UNAUTHORIZED:
        return password_required(str(PREFECT_API_URL.value()))
    return f"Prefect cannot run this: {redacted_in(error)}"


def _printing_once() -> Callable[[str], None]:
    """Prints each line once: several steps of a run may warn of the same address."""
    printed: set[str] = set()

    def show(line: str) -> None:
        if line not in printed:
            printed.add(line)
            print(line, file=sys.stderr)

    return show


def _end(code: int, sentence: str) -> int:
    print(printable(sentence), file=sys.stderr if code else sys.stdout)
    return code


@contextlib.contextmanager
def _database() -> Iterator[None]:
    """Start the embedded database and migrate it, if no other is set; the operator migrates another database."""
    with database_of_command():
        if database_url() is None:
            upgrade()
        yield


@contextlib.contextmanager
def _prefect(*, as_json: bool = False) -> Iterator[None]:
    settings: dict[Any, Any] = {}
    if "PREFECT_HOME" not in os.environ:
        settings[PREFECT_HOME] = make_private(make_data_dir(database_settings().data_dir) / "prefect")
    server = _server()
    if server:
        settings[PREFECT_API_URL] = server.api_url
        if server.auth_string:
            settings[PREFECT_API_AUTH_STRING] = server.auth_string
    else:
        settings[PREFECT_API_URL] = None
        # Other users of this machine could read the run, its log and its report from a server without a password.
        settings[PREFECT_SERVER_API_AUTH_STRING] = settings[PREFECT_API_AUTH_STRING] = (
            f"run:{secrets.token_urlsafe(24)}"
        )
        print("starting a Prefect server for this run (some ten seconds; `make up` keeps one)", file=sys.stderr)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")  # the automation ends a run with fewer heartbeats
    with temporary_settings(settings):
        if as_json:
            setup_logging(incremental=False)  # importing Prefect has set it up for people
        elif "PREFECT_LOGGING_LEVEL" not in os.environ:
            _silence_console_log()
        yield


def _server() -> PrefectServer | None:
    """The server of PREFECT_API_URL, else that of `make up` if it answers."""
    server = server_in_use(database_settings().data_dir)
    if server is None or server.given:
        return server
    try:
        httpx.get(f"{server.api_url}/health", timeout=5).raise_for_status()
    except httpx.HTTPError:
        return None
    return server


def _silence_console_log() -> None:
    """Send Prefect's log to its server only; on the console it would break the progress bar and repeat messages."""
    setup_logging()
    for name in ("", *logging.Logger.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.setLevel(logging.CRITICAL)


@contextlib.contextmanager
def bar(listener: Any, describe: Callable[[Any], str]) -> Iterator[None]:
    """Show progress while the block runs: `listener`, a context variable, gets objects with `done` and `total`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        token = listener.set(lambda progress: print(f"{describe(progress)}: {progress}", file=sys.stderr))
        try:
            yield
        finally:
            listener.reset(token)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        tasks: dict[str, Any] = {}

        def update(progress: Any) -> None:
            name = describe(progress)
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=progress.total)
            shown.update(tasks[name], completed=progress.done, total=progress.total)

        token = listener.set(update)
        try:
            yield
        finally:
            listener.reset(token)
