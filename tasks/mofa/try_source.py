"""Shows what a source reads, before it is scheduled: missions, fill rates, every problem, and what would change.

python -m tasks.mofa.try SOURCE|FILE.toml [--page FILE|URL] [--record DIRECTORY] [--pages N] [--base-url URL]

It requests the pages as a run does, or reads one saved page. It writes nothing but the fixture that --record asks for.
Exit code 0: no problem; 1: the source or a page has one.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from db import embassies, embedded
from db.display import is_address, printable
from db.engine import DatabaseError, database_settings, database_url, transaction
from db.errors import JobError, UserError
from tasks.counts import counted
from tasks.mofa import recording, sources
from tasks.mofa.browser import fetcher_for
from tasks.mofa.charset import decode
from tasks.mofa.diff import Change, Known, diff
from tasks.mofa.embassy import COMPARED, Embassy, differences
from tasks.mofa.http import NotModified
from tasks.mofa.page import Page, Source
from tasks.mofa.plausibility import same_on_all
from tasks.mofa.recording import PageResult, result_of
from tasks.mofa.request import Request
from tasks.mofa.settings import fetching_settings
from tasks.mofa.table_file import as_text

_COLUMNS = ("key", "kind", "country", "city", "address", "phone", "email", "head_of_mission")
_WIDE = 30  # characters of a cell
_SHOWN = 30  # changes
_PIPED = 220  # columns, where the output is no terminal


@dataclass(frozen=True)
class Trial:
    """Everything that was read."""

    source: Source
    results: Sequence[PageResult]

    @property
    def missions(self) -> list[Embassy]:
        """All that can be read, a mission that is on several pages several times."""
        return [each for result in self.results for each in result.missions]

    def by_key(self) -> dict[str, Embassy]:
        """Each mission once, the first of those with one key."""
        found: dict[str, Embassy] = {}
        for each in self.missions:
            found.setdefault(each.key, each)
        return found

    def problems(self) -> list[str]:
        """A sentence for each thing that a person should look at, all at once."""
        found = [f"{each.page.url}: {each.problem}" for each in self.results if each.problem]
        found += [f"{each.row}: {each.reason}" for result in self.results for each in result.unreadable]
        found += [*_duplicate_keys(self.missions), *same_on_all(self.missions, self.source.may_be_same)]
        if self.results and not self.missions:
            found.append("no mission was read")
        return found


def _duplicate_keys(missions: Iterable[Embassy]) -> list[str]:
    first: dict[str, Embassy] = {}
    differing = [(each.key, differences(first.setdefault(each.key, each), each)) for each in missions]
    return [
        f"{key} appears twice, with different values of {', '.join(fields)}: the key must tell them apart"
        for key, fields in differing
        if fields
    ]


# ---------------------------------------------------------------------- pages


def crawl(
    source: Source, fetch: Callable[[str], Page], max_pages: int | None, tell: Callable[[str], None]
) -> list[PageResult]:
    """Read the pages of the first route that answers, and those they lead to, each once."""
    waiting, seen = [*source.routes[0].start], {*source.routes[0].start}
    results: list[PageResult] = []
    while waiting and (max_pages is None or len(results) < max_pages):
        address = waiting.pop(0)
        result = result_of(source, fetch(address))
        results.append(result)
        new = [link for link in result.links if link not in seen]
        seen.update(new)
        waiting += new
        tell(printable(f"{len(results)} of {len(seen)} pages: {address}"))
    return results


def saved(file: Path, address: str) -> Page:
    """A saved page, as if it had been requested at this address. Raises JobError: it is not a file."""
    if not file.is_file():
        raise UserError(f"{file} is not a file")
    body = file.read_bytes()
    decoded = decode(body, None)
    return Page(address, as_text(body) or (decoded.text if decoded else ""))


# ---------------------------------------------------------------------- output


def show(console: Console, trial: Trial) -> None:
    """Print missions, fill rates and problems."""
    missions = list(trial.by_key().values())
    table = Table(*_COLUMNS, box=box.SIMPLE_HEAD)
    for each in missions:
        table.add_row(*(_cell(getattr(each, name)) for name in _COLUMNS))
    console.print(table)
    console.print(f"{counted(len(missions), 'mission')} on {counted(len(trial.results), 'page')}")
    for name in COMPARED:
        filled = sum(getattr(one, name) is not None for one in missions)
        console.print(f"  {name:<16} filled on {filled:>5} ({filled / max(len(missions), 1):.0%})", highlight=False)
    kinds = Counter(each.kind for each in missions)
    console.print(
        "kinds: " + ", ".join(f"{_cell(kind)} {count}" for kind, count in kinds.most_common()), highlight=False
    )
    words = sorted({str(each.extra["kind"]) for each in missions if each.kind == "other" and "kind" in each.extra})
    if words:
        console.print(f"kinds that the source does not know: {printable(', '.join(words))}", highlight=False)
    problems = trial.problems()
    console.print(counted(len(problems), "problem") if problems else "no problem")
    for problem in problems:
        console.print(f"  {printable(problem)}", highlight=False)


def _cell(value: str | None) -> str:
    text = printable((value or "").replace("\n", " / "))
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"


def show_fixture(console: Console, source: Source, directory: Path) -> list[str]:
    """Print how old the fixture of the source is, and what differs from the recording; returns the latter."""
    fixture = recording.read(directory)
    if fixture is None:
        console.print("no fixture: --record keeps one")
        return []
    problems = recording.replay(source, fixture)
    state = "as recorded" if not problems else "read otherwise than recorded"
    console.print(f"fixture of {fixture.day} ({fixture.origin}): {state}", highlight=False)
    for problem in problems:
        console.print(f"  {printable(problem)}", highlight=False)
    return problems


def show_changes(console: Console, trial: Trial) -> None:
    """Print what would change against the database, if one can be reached."""
    try:
        changes = against_database(trial)
    except (JobError, OSError) as error:
        console.print(f"not compared with the database: {error}", highlight=False)
        return
    if changes is None:
        console.print("not compared with the database: none is configured or running, or it does not know this source")
        return
    console.print(f"{len(changes)} changes against the database", highlight=False)
    for change in changes[:_SHOWN]:
        field = f" {change.field}: {_cell(change.old)} -> {_cell(change.new)}" if change.field else ""
        console.print(f"  {change.kind}: {printable(change.name)}{field}", highlight=False)


def against_database(trial: Trial) -> list[Change] | None:
    """The changes; None if there is no database to ask, or it has no missions of this source."""
    if database_url() is None and not embedded.is_running(database_settings().data_dir):
        return None
    with transaction() as connection:
        rows = embassies.missions(connection, trial.source.name)
    known = {
        row["key"]: Known(
            Embassy.model_validate({name: row[name] for name in Embassy.model_fields}),
            row["status"],
            row["missing_since"],
        )
        for row in rows
    }
    return diff(known, trial.by_key(), at=datetime.now(UTC)) if known else None


# ---------------------------------------------------------------------- command


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tasks.mofa.try", description="Show what a source reads.")
    parser.add_argument("source", help="a source by its name, or a TOML file")
    parser.add_argument("--page", help="read this saved page (a file), or request only this address")
    parser.add_argument("--address", metavar="URL", help="the address of the saved page, if it is not the start")
    parser.add_argument("--record", type=Path, metavar="DIRECTORY", help="keep pages and missions there as a fixture")
    parser.add_argument("--pages", type=int, metavar="N", help="request at most N pages")
    parser.add_argument("--base-url", metavar="URL", help="a mirror or test server in place of the ministry's")
    return parser


def main(given: Sequence[str] | None = None) -> int:
    """Carry out the command line; returns the exit code."""
    asked = arguments().parse_args(given)
    console = Console(markup=False, width=None if sys.stdout.isatty() else _PIPED)
    try:
        file = Path(asked.source) if asked.source.endswith(".toml") else None
        source = sources.of_file(file) if file else sources.source(asked.source)
        if asked.record:
            recording.require_place(asked.record)
        trial = Trial(source, _results(source, asked))
    except (JobError, DatabaseError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return 1
    show(console, trial)
    show_changes(console, trial)
    problems = show_fixture(console, source, sources.fixture_directory(source.name, file))
    if asked.record:
        pages = recording.write(asked.record, trial.results, datetime.now(UTC).date(), _origin(asked))
        console.print(f"{counted(pages, 'page')} recorded in {asked.record}", highlight=False)
    return 1 if problems or trial.problems() else 0


def _origin(asked: argparse.Namespace) -> str:
    """Only pages of the ministry prove the source, not those of a test server or mirror."""
    return "described" if asked.base_url else "saved"


def _results(source: Source, asked: argparse.Namespace) -> list[PageResult]:
    if asked.page and not is_address(asked.page):
        return [result_of(source, saved(Path(asked.page), asked.address or source.routes[0].start[0]))]

    def tell(text: str) -> None:
        print(text, file=sys.stderr)  # noqa: T201 - a command

    with fetcher_for(source, fetching_settings(), asked.base_url) as fetcher:

        def fetch(address: str) -> Page:
            page = fetcher.fetch(address)
            if isinstance(page, NotModified):  # nothing was said about an earlier page
                raise JobError(f"{address}: the server says it is unchanged")
            return page

        if asked.page:
            return [result_of(source, fetch(Request.of(asked.page).address))]
        return crawl(source, fetch, asked.pages, tell)
