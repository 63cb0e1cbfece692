"""Monitors a ministry's list of missions. Each change is reported once, with the page that shows it.

python -m flows.mofa_monitoring SOURCE [--base-url U] [--accept ID]

SOURCE may be a pattern: '*' is every source except the demo. Each source then has a run of its own, below the run of
all.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from prefect import State, flow, tags
from prefect.states import Completed, Failed

from db.display import redacted, redacted_in
from db.errors import JobError, UserError
from flows.admission import admission
from flows.foreground import run_in_foreground
from tasks.counts import counted
from tasks.mofa import sources, steps
from tasks.mofa.progress import listener
from tasks.mofa.report import summary
from tasks.mofa.sources import source as find_source
from tasks.notify.steps import deliver
from tasks.slot import tags_of_parts
from tasks.state_names import HELD
from tasks.step import run


@flow(name="mofa_monitoring", flow_run_name=steps.run_name, log_prints=False)
@admission(subject=steps.subject)
def mofa_monitoring(source: str = "japan", base_url: str | None = None, accept: int | None = None) -> State[Any]:
    """Monitor a ministry's list of missions.

    Args:
        source: Name of the source (its file name), or a pattern such as "germany*". "*" is every source except the
            demo; each source gets a run of its own. Empty: MOFA_SOURCE.
        base_url: scheme and host of a mirror or test server, in place of the ministry's.
        accept: the number of a held set; exactly that set is applied, nothing is fetched.
    """
    name = steps.subject({"source": source})
    if sources.is_pattern(name):
        return watch_each(name, base_url, accept)
    return watch(name, lambda: steps.this_run(find_source(name), base_url), accept)


def watch_each(pattern: str, base_url: str | None, accept: int | None) -> State[Any]:
    """A run for each source that matches, one after the other; one that fails does not keep the others from running."""
    try:
        if accept is not None:
            raise UserError(f"held set {accept} is of one source: name it in place of {pattern}")
        names = sources.matching(pattern)
    except JobError as error:
        return Failed(message=str(error))
    ended: dict[str, State[Any]] = {}
    with tags(*tags_of_parts()):
        for name in names:
            ended[name] = mofa_monitoring(name, base_url, return_state=True)
    steps.report_pattern_done(pattern)
    deliver()
    return _of_all(ended)


def _of_all(ended: Mapping[str, State[Any]]) -> State[Any]:
    """Failed with the list of the sources that failed, else held if one is held, else completed."""
    failed = {name: each for name, each in ended.items() if each.is_failed() or each.is_crashed()}
    done = [each for each in ended.values() if each.is_completed()]
    reports = [each.result() for each in done]
    if failed:
        listed = "; ".join(f"{name}: {' '.join(str(each.message).split())}" for name, each in failed.items())
        return Failed(message=f"{len(failed)} of {counted(len(ended), 'source')} failed: {listed}", data=reports)
    message = " · ".join(f"{each.message}" for each in ended.values())
    return Completed(name=HELD if any(each.name == HELD for each in done) else None, message=message, data=reports)


def watch(source: str, this_run: Callable[[], steps.Monitoring], accept: int | None) -> State[Any]:
    """One run: crawl or take a held set, evaluate and commit, report, deliver."""
    state = _watch(source, this_run, accept)
    deliver()
    return state


def _watch(source: str, this_run: Callable[[], steps.Monitoring], accept: int | None) -> State[Any]:
    try:
        monitoring = this_run()
        with steps.once(monitoring) as once:
            if once.done:
                return _completed(once.result, steps.already_done(once))
            found = steps.gather(monitoring) if accept is None else steps.held_set(monitoring, accept)
            outcome = run(steps.evaluate_and_commit, monitoring, found, once.claim)
            once.result = outcome.report
        report = steps.report_outcome(outcome, monitoring.base_url)
    except JobError as error:
        if accept is None:  # what a person asked for in vain is shown here
            steps.report_failure(source, str(error))
        return Failed(message=str(error))
    except Exception as error:  # a fault of ours: it is reported, and its traceback stays
        steps.report_failure(source, f"{type(error).__name__}: {redacted_in(error)}")
        deliver()
        raise
    return _completed(outcome.report, summary(report))


def _completed(report: dict[str, Any], message: str) -> State[Any]:
    return Completed(name=HELD if report["held"] is not None else None, message=message, data=report)


@contextmanager
def _printed_progress() -> Iterator[None]:
    """While the block runs, every line of progress goes to stderr."""
    token = listener.set(lambda line: print(line, file=sys.stderr, flush=True))
    try:
        yield
    finally:
        listener.reset(token)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m flows.mofa_monitoring", description="Watch a ministry's missions.")
    parser.add_argument(
        "source", nargs="?", default="", help="its name; '*': every source but the demo; without one, MOFA_SOURCE"
    )
    parser.add_argument("--base-url", help="scheme and host of a mirror, in place of the ministry's")
    parser.add_argument("--accept", type=int, metavar="ID", help="apply the held set of this number")
    given = parser.parse_args(arguments)
    base_url = given.base_url and redacted(given.base_url)  # Prefect shows parameters; its password is never sent
    parameters = {"source": given.source, "base_url": base_url, "accept": given.accept}
    return run_in_foreground(mofa_monitoring, parameters, listening=_printed_progress, show=steps.text_of_reports)


if __name__ == "__main__":
    sys.exit(main())
