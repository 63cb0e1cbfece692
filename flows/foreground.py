"""One job in the foreground: `python -m flows.<job>`, for a person at a terminal or a cron of one's own.

Decides which Prefect server keeps the run (PREFECT_API_URL, else that of `make up`, else an ephemeral one) and what
the person sees: a bar on a terminal, a line a batch elsewhere, and one plain line at the end. The embedded database is
started if it is what is used, and stopped again if nobody else is on it. Exit code 0: done, or done before; 1: refused
or failed.
"""

import contextlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
from prefect import Flow, State
from prefect.logging.configuration import setup_logging
from prefect.logging.handlers import PrefectConsoleHandler
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from db import embedded
from db.engine import DatabaseError, database_settings, database_url, engine, upgrade
from flows.admission import listener as waiting
from tasks.settings import server_settings

HELD = "Held"  # the name of a state: it ended in order, and a person has to look


def run_in_foreground(
    flow: Flow[..., Any],
    parameters: dict[str, Any],
    listening: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    show: Callable[[Any], str | None] = lambda _result: None,
) -> int:
    """Run `flow` to its end; returns the exit code.

    Args:
        flow: one of ours; it returns a state with one sentence.
        parameters: its parameters.
        listening: shows its progress meanwhile.
        show: more to tell of a result, as Markdown, before the sentence.
    """
    waiting.set(lambda why: print(why, file=sys.stderr))
    try:
        with _database(), _prefect(), listening():
            state: State[Any] = flow(**parameters, return_state=True)  # type: ignore[assignment]
    except (DatabaseError, embedded.EmbeddedError) as error:
        return _end(1, str(error))
    except KeyboardInterrupt:
        return _end(130, "stopped; run it again to go on")
    except RuntimeError as error:  # Prefect's own: no server could be started or reached
        return _end(1, f"Prefect cannot run this: {' '.join(str(error).split())}")
    if not state.is_completed():
        return _end(1, state.message or f"the run ended as {state.name}")
    more = show(state.result(raise_on_failure=False))
    if more:
        console = Console()
        console.print(Markdown(more)) if console.is_terminal else print(more)
    return _end(1 if state.name == HELD else 0, state.message or "done")


def _end(code: int, sentence: str) -> int:
    print(sentence, file=sys.stderr if code else sys.stdout)
    return code


@contextlib.contextmanager
def _database() -> Iterator[None]:
    """The embedded database with its tables, if it is what is used; another one is left as its operator keeps it."""
    if database_url() is not None:
        yield
        return
    with embedded.borrowed(database_settings().data_dir):
        try:
            upgrade()
            yield
        finally:
            engine().dispose()  # our own connections must not look like somebody else's


@contextlib.contextmanager
def _prefect() -> Iterator[None]:
    settings: dict[Any, Any] = {}
    if "PREFECT_HOME" not in os.environ:
        settings[PREFECT_HOME] = database_settings().data_dir / "prefect"
    if "PREFECT_API_URL" not in os.environ:
        settings[PREFECT_API_URL] = url = server_settings().prefect_api_url or _server_of_make_up()
        if url is None:
            print("starting a Prefect server for this run (some ten seconds; `make up` keeps one)", file=sys.stderr)
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")  # more rarely, and the automation ends the run
    with temporary_settings(settings):
        if "PREFECT_LOGGING_LEVEL" not in os.environ:
            _keep_the_console_for_people()
        yield


def _server_of_make_up() -> str | None:
    """The API's address of the server that `make up` runs in this DATA_DIR, if it answers."""
    try:
        said = json.loads((database_settings().data_dir / "up.json").read_text())
        url = str(said["api_url"])
        if psutil.Process(said["pid"]).create_time() != said["create_time"]:
            return None
        httpx.get(f"{url}/health", timeout=5).raise_for_status()
    except (OSError, ValueError, KeyError, psutil.Error, httpx.HTTPError):
        return None
    return url


def _keep_the_console_for_people() -> None:
    """Prefect's log goes to its server; on the console it would tear the bar apart and say everything twice."""
    setup_logging()
    for name in ("", *logging.Logger.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, PrefectConsoleHandler):
                handler.setLevel(logging.CRITICAL)


@contextlib.contextmanager
def bar(listener: Any, describe: Callable[[Any], str]) -> Iterator[None]:
    """While the block runs, shows what arrives at the context variable `listener`: objects with `done` and `total`."""
    console = Console(stderr=True)
    if not console.is_terminal:
        token = listener.set(lambda progress: print(f"{describe(progress)}: {progress}", file=sys.stderr))
        try:
            yield
        finally:
            listener.reset(token)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as shown:
        tasks: dict[str, Any] = {}

        def tell(progress: Any) -> None:
            name = describe(progress)
            if name not in tasks:
                tasks[name] = shown.add_task(name, total=progress.total)
            shown.update(tasks[name], completed=progress.done, total=progress.total)

        token = listener.set(tell)
        try:
            yield
        finally:
            listener.reset(token)
