"""mofa_monitoring with a pattern: each source has a run, a subject, a failure, a unit of work, a digest of its own."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL
from prefect.states import AwaitingRetry, Cancelling
from support import several
from support.commands import use_server_of_tests
from support.ministry import status
from support.processes import Job, Process, Stop
from support.several import NAMES, PATTERN, run_all, show
from support.waiting import until
from support.watch import Watch

from db import incidents
from db.engine import transaction
from db.instances import Instance
from flows import admission
from flows.mofa_monitoring import main, mofa_monitoring
from tasks.mofa import sources
from tasks.mofa.steps.digest import JOB
from tasks.state_names import HELD

SLOT = datetime(2026, 1, 5, 3, tzinfo=UTC)


@pytest.fixture
def several_sources(watch: Watch, tmp_path: Path) -> Iterator[Watch]:
    """Three sources with their first sets applied."""
    watch.set(MOFA_SOURCES=str(several.write_sources(tmp_path / "sources")), TASK_MISFIRE_GRACE="1000000000")
    for name in NAMES:
        show(watch.ministry, name)
    assert run_all(watch.ministry.url, None).name == HELD, "no saved page has tested them"
    for row in watch.rows("SELECT id, source FROM embassy_candidates ORDER BY id"):
        assert mofa_monitoring(row["source"], accept=row["id"], return_state=True).is_completed()
    watch.alerts()
    return watch


def units(watch: Watch, since: int = 0) -> list[tuple[str, str, str]]:
    rows = watch.rows("SELECT subject, idempotency_key AS key, status FROM task_runs WHERE id > %s ORDER BY id", since)
    return [(row["subject"], row["key"], row["status"]) for row in rows]


def last_unit(watch: Watch) -> int:
    return int(watch.rows("SELECT max(id) AS id FROM task_runs")[0]["id"])


def parts_of(run: UUID) -> dict[str, str]:
    """The runs below a run: name -> how they ended."""
    below = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run]))
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=below)
    return {each.name: each.state.name for each in found if each.state}


def run_id(state: Any) -> UUID:
    return UUID(str(state.state_details.flow_run_id))


def test_a_star_is_every_source_but_the_demo_and_a_pattern_those_that_match(tmp_path, watch):
    watch.set(MOFA_SOURCES=str(several.write_sources(tmp_path / "sources")))
    shipped = ["australia", "germany", "germany-host", "govuk", "ireland", "japan", "korea", "russia"]
    assert sources.matching("*") == sorted([*shipped, *NAMES])
    assert sources.matching("germany*") == ["germany", "germany-host"]
    assert [sources.is_pattern(name) for name in ("japan", "germany-host", "*", "test-?", "[jk]*")] == [0, 0, 1, 1, 1]
    with pytest.raises(sources.UnknownSourceError):
        sources.matching("demo*")


def test_each_source_has_a_run_a_unit_of_work_and_a_digest_of_its_own(several_sources):
    watch = several_sources
    before = last_unit(watch)
    show(watch.ministry, "test-a", phone="101")
    show(watch.ministry, "test-c", phone="102")
    state = run_all(watch.ministry.url, None)
    assert (state.type.value, state.name) == ("COMPLETED", "Completed")
    assert parts_of(run_id(state)) == dict.fromkeys([f"watch-{name}" for name in NAMES], "Completed")
    assert units(watch, before) == [(name, f"{name}:{run_id(state)}", "completed") for name in NAMES]
    assert [report["source"] for report in state.result()] == NAMES
    assert [report["counts"] for report in state.result()] == [{"changed": 1}, {}, {"changed": 1}]
    assert watch.alerts() == ["test-a: 1 changed", "test-c: 1 changed"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "answer"),
    [
        pytest.param("test-a", status(403), marks=pytest.mark.slow),
        ("test-b", status(404)),
        pytest.param("test-c", status(200, b"<html><body>Moved</body></html>"), marks=pytest.mark.slow),
    ],
)
def test_one_that_fails_stops_no_other_and_is_listed(several_sources, broken, answer):
    watch = several_sources
    others = [name for name in NAMES if name != broken]
    for name in others:
        show(watch.ministry, name, phone="101")
    watch.ministry.answers[f"/{broken}"] = answer
    state = run_all(watch.ministry.url, None)
    assert state.type.value == "FAILED"
    assert state.message.startswith(f"1 of 3 sources failed: {broken}: https://www.mofa.example/{broken}")
    assert not any(name in state.message for name in others)
    assert parts_of(run_id(state)) == {f"watch-{name}": "Failed" if name == broken else "Completed" for name in NAMES}
    assert Counter(watch.alerts()) == Counter(
        [f"mofa_monitoring {broken} fails", *(f"{name}: 1 changed" for name in others)]
    )
    show(watch.ministry, broken)
    assert run_all(watch.ministry.url, None).is_completed()
    assert watch.alerts() == [f"mofa_monitoring {broken} works again"]


@pytest.mark.slow
def test_a_source_file_that_is_wrong_and_a_fault_of_a_parser_stop_no_other(several_sources, tmp_path, monkeypatch):
    watch = several_sources
    (tmp_path / "sources" / "test-a.toml").write_text("title = 3")
    found = sources.source("test-b")

    def breaks(name: str) -> Any:
        if name == "test-b":
            raise KeyError("a fault")
        return sources.source(name)

    assert found.name == "test-b"
    monkeypatch.setitem(vars(__import__("flows.mofa_monitoring", fromlist=["x"])), "find_source", breaks)
    show(watch.ministry, "test-c", phone="101")
    state = run_all(watch.ministry.url, None)
    assert state.message.startswith("2 of 3 sources failed: test-a: ")
    assert "; test-b: " in state.message
    assert len(state.message.splitlines()) == 1
    assert "test-c: 1 changed" in watch.alerts()


@pytest.mark.slow
def test_a_slot_is_done_once_for_each_source_also_after_one_failed(several_sources):
    watch = several_sources
    before = last_unit(watch)
    for name in NAMES:
        show(watch.ministry, name, phone="101")
    watch.ministry.answers["/test-b"] = status(403)
    assert run_all(watch.ministry.url, SLOT).is_failed()
    key = "{}:2026-01-05T03:00:00Z"
    assert units(watch, before) == [
        (name, key.format(name), "failed" if name == "test-b" else "completed") for name in NAMES
    ]
    asked = Counter(watch.ministry.asked)
    show(watch.ministry, "test-b", phone="101")
    watch.alerts()
    assert run_all(watch.ministry.url, SLOT).is_completed()
    assert units(watch, before) == [(name, key.format(name), "completed") for name in NAMES]
    assert Counter(watch.ministry.asked)["/test-a"] == asked["/test-a"], "it was done before"
    assert sorted(watch.alerts()) == ["mofa_monitoring test-b works again", "test-b: 1 changed"]
    assert [row["verified"] for row in watch.rows("SELECT DISTINCT last_verified AS verified FROM embassies")] == [SLOT]


@pytest.mark.slow
def test_a_source_that_is_being_watched_is_skipped_by_a_scheduled_run_and_waited_for_by_hand(
    several_sources, monkeypatch
):
    watch = several_sources
    monkeypatch.setattr(admission, "POLL_SECONDS", 0.05)
    other = Instance(JOB, "test-b", "another run")
    assert other.acquire(1)
    state = run_all(watch.ministry.url, SLOT)
    assert state.is_completed()
    assert parts_of(run_id(state)) == {
        "watch-test-a": "Completed",
        "watch-test-b": "Skipped",
        "watch-test-c": "Completed",
    }
    assert [report["source"] for report in state.result()] == ["test-a", "test-c"]
    waited: list[str] = []

    def leaves(why: str) -> None:
        waited.append(why)
        other.release()

    token = admission.listener.set(leaves)
    state = run_all(watch.ministry.url, None)
    admission.listener.reset(token)
    assert len(waited) == 1
    assert [report["source"] for report in state.result()] == NAMES


@pytest.mark.slow
def test_runs_of_all_count_for_their_pattern(several_sources):
    watch = several_sources
    other = Instance(JOB, PATTERN, "another run")
    assert other.acquire(1)
    state = run_all(watch.ministry.url, SLOT)
    other.release()
    assert (state.type.value, state.name) == ("CANCELLED", "Skipped")
    assert parts_of(run_id(state)) == {}


@pytest.mark.slow
def test_the_incident_of_the_pattern_is_over_once_all_sources_were_tried(several_sources):
    watch = several_sources
    with transaction() as connection:
        incidents.open_incident(connection, JOB, PATTERN, None)
    watch.ministry.answers["/test-b"] = status(403)
    assert run_all(watch.ministry.url, None).is_failed()
    assert watch.alerts() == ["mofa_monitoring test-b fails", "mofa_monitoring test-∗ works again"]


@pytest.mark.parametrize(("source", "accept"), [(PATTERN, 1), ("nothing-*", None)])
def test_a_held_set_of_a_pattern_and_a_pattern_of_nothing_are_refused_in_one_sentence(watch, source, accept):
    state = mofa_monitoring(source, accept=accept, return_state=True)
    assert state.type.value == "FAILED"
    assert len(state.message.splitlines()) == 1
    assert parts_of(run_id(state)) == {}
    assert watch.rows("SELECT * FROM task_runs") == []


@pytest.mark.parametrize(
    "command", [("mofa_monitoring", "nothing-*"), ("import_crm_data", "nowhere.xlsx", "--preview")]
)
def test_a_job_that_fails_before_it_has_a_result_ends_with_one_sentence(watch, monkeypatch, capsys, command):
    use_server_of_tests(monkeypatch)
    job, given, *options = command
    assert import_module(f"flows.{job}").main([given, *options]) == 1
    printed = capsys.readouterr()
    [sentence] = printed.err.splitlines()
    assert given in sentence
    assert printed.out == ""


@pytest.mark.slow
def test_mofa_source_can_be_a_pattern(several_sources):
    several_sources.set(MOFA_SOURCE=PATTERN)
    state = mofa_monitoring("", several_sources.ministry.url, return_state=True)
    assert [report["source"] for report in state.result()] == NAMES
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run_id(state)).name == f"watch-{PATTERN}"


def test_in_the_foreground_it_prints_each_digest_and_ends_with_1_if_one_failed(several_sources, monkeypatch, capsys):
    watch = several_sources
    show(watch.ministry, "test-a", phone="101")
    watch.ministry.answers["/test-b"] = status(403)
    show(watch.ministry, "test-c", phone="102")
    use_server_of_tests(monkeypatch)
    assert main([PATTERN, "--base-url", watch.ministry.url]) == 1
    printed = capsys.readouterr()
    assert [line for line in printed.out.splitlines() if "→" in line] == [
        "- test-a 0: 100 → 101",
        "- test-c 0: 100 → 102",
    ]
    assert printed.err.splitlines()[-1].startswith("1 of 3 sources failed: test-b: ")
    show(watch.ministry, "test-b")
    assert main([PATTERN, "--base-url", watch.ministry.url]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "stop",
    [
        Stop("flows.mofa_monitoring:deliver"),  # the first set is committed, nobody was told
        pytest.param(Stop("flows.mofa_monitoring:deliver", 2, after=True), marks=pytest.mark.slow),
        pytest.param(Stop("tasks.mofa.steps:gather", 2), marks=pytest.mark.slow),
        pytest.param(Stop("tasks.mofa.steps:gather", 3, after=True), marks=pytest.mark.slow),
        pytest.param(Stop("flows.mofa_monitoring:_of_all"), marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "slot", [SLOT + timedelta(days=1), pytest.param(None, marks=pytest.mark.slow)], ids=["scheduled", "by hand"]
)
def test_killed_and_started_again_each_source_is_told_once(several_sources, tmp_path, stop, slot):
    watch = several_sources
    before = last_unit(watch)
    for name in NAMES:
        show(watch.ministry, name, phone="101")
    process = a_process(watch, tmp_path, stop, slot)
    process.reach()
    process.kill()
    assert run_all(watch.ministry.url, slot).is_completed()
    assert sorted(watch.ministry.titles()) == [f"{name}: 1 changed" for name in NAMES]
    assert [(row["kind"], row["new"]) for name in NAMES for row in watch.changes(name)] == [("changed", "101")] * 3
    if slot:
        assert sorted(units(watch, before)) == [(name, f"{name}:2026-01-06T03:00:00Z", "completed") for name in NAMES]


@pytest.mark.slow
def test_what_a_person_cancels_is_resumed_by_a_person(several_sources, tmp_path):
    watch = several_sources
    before, slot = last_unit(watch), SLOT + timedelta(days=1)
    process = a_process(watch, tmp_path, Stop("tasks.mofa.steps:gather", 2), slot)
    process.reach()
    with get_client(sync_client=True) as client:
        part = client.read_flow_run(watch.rows("SELECT flow_run_id FROM task_runs ORDER BY id DESC")[0]["flow_run_id"])
        parent = client.read_task_run(part.parent_task_run_id).flow_run_id
        client.set_flow_run_state(parent, Cancelling())
    os.kill(process.pid, signal.SIGTERM)
    until(process.ended, "it ends", 60)
    process.kill()
    assert [(subject, status) for subject, _, status in units(watch, before)] == [
        ("test-a", "completed"),
        ("test-b", "cancelled"),
    ]
    state = run_all(watch.ministry.url, slot)
    assert state.message.startswith("1 of 3 sources failed: test-b: "), "the schedule does not resume it"
    assert retry(run_id(state)).is_completed()
    assert {status for _, _, status in units(watch, before)} == {"completed"}


def a_process(watch: Watch, directory: Path, stop: Stop, slot: datetime | None) -> Process:
    prefect = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PREFECT_HOME": str(directory / "prefect-home")}
    return Process(
        Job(
            function="support.several:run_all",
            arguments={"base_url": watch.ministry.url, "slot": slot},
            environment=dict(os.environ),
            log=directory / "process.log",
            prefect=prefect,
            stops=[stop],
        )
    )


def retry(run: UUID) -> Any:
    """What the button Retry does."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run, AwaitingRetry(scheduled_time=datetime.now(UTC)), force=True)
        again = client.read_flow_run(run)
    return run_flow(mofa_monitoring, flow_run=again, parameters=again.parameters, return_type="state")


@pytest.mark.slow
def test_a_run_of_all_that_a_person_retries_does_only_what_failed(several_sources):
    watch = several_sources
    for name in NAMES:
        show(watch.ministry, name, phone="101")
    watch.ministry.answers["/test-b"] = status(403)
    state = run_all(watch.ministry.url, None)
    show(watch.ministry, "test-b", phone="101")
    watch.alerts()
    asked = Counter(watch.ministry.asked)
    again = retry(run_id(state))
    assert again.is_completed(), again.message
    assert [report["source"] for report in again.result()] == NAMES
    assert Counter(watch.ministry.asked)["/test-a"] == asked["/test-a"]
    assert sorted(watch.alerts()) == ["mofa_monitoring test-b works again", "test-b: 1 changed"]
