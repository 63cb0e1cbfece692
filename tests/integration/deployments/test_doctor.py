"""doctor: its findings, and the alerts that it sends to a real webhook."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect import State, flow
from prefect.client.orchestration import get_client
from prefect.context import use_profile
from prefect.server.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.events import ReceivedEvent
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_HOME, temporary_settings
from prefect.states import Completed
from pydantic import SecretStr
from support.doctor import doctor, failed
from support.receivers import Webhook, a_webhook
from support.waiting import until

from deployments import automations
from deployments.doctor.alerts import AlertMemory, other_disks, send_alerts
from deployments.doctor.findings import Finding
from deployments.prefect_api import PrefectApi
from flows.foreground import run_in_foreground
from flows.watchdog import watchdog
from tasks.mofa import sources
from tasks.notify.channels import Channels, NotifySettings, channels

SOURCES = ("recorded", "unrecorded", "atlantis")
NOW = datetime(2026, 1, 5, 3, tzinfo=UTC)
DEAD = [Finding("server", "failed", "does not answer", "start it"), Finding("worker", "unknown", "cannot be seen")]
WELL = [Finding("server", "ok", "is well"), Finding("worker", "ok", "alive")]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with a_webhook() as webhook:
        yield webhook


def listeners(*hooks: Webhook) -> Channels:
    return channels(NotifySettings(notify_urls=SecretStr(" ".join(hook.url for hook in hooks)), notify_timeout=5))


# ---------------------------------------------------------------------- nothing there


def test_only_the_checks_that_were_asked_for_are_made(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, "--only", "disk,database")
    assert (code, set(found)) == (2, {"disk", "database"})
    assert doctor(tmp_path, "--only", "disk")[0] == 0


def test_where_nothing_runs_each_check_has_one_line_and_nothing_is_started(tmp_path: Path) -> None:
    code, found = doctor(tmp_path)
    assert code == 2
    assert failed(found) == ["database", "server"]
    assert found["worker"][0]["verdict"] == "unknown"
    assert "make up" in found["server"][0]["advice"]
    assert not (tmp_path / "postgres").exists()


@pytest.mark.slow
def test_the_source_of_the_daily_run_exists_and_the_age_of_its_pages_is_shown(tmp_path: Path) -> None:
    recorded, unrecorded = (tmp_path / name for name in ("recorded.toml", "unrecorded.toml"))
    shipped = Path(sources.__file__).parent
    for copy in (recorded, unrecorded):
        shutil.copy(shipped / "demo.toml", copy)
    fixture = tmp_path / "recorded" / "recorded"
    shutil.copytree(shipped / "recorded" / "demo", fixture)
    head = json.loads((fixture / "fixture.json").read_text())
    seen = datetime.now(UTC).date() - timedelta(days=400)
    (fixture / "fixture.json").write_text(json.dumps({**head, "day": f"{seen}"}))
    found = [doctor(tmp_path, MOFA_SOURCES=str(tmp_path), MOFA_SOURCE=name)[1]["source"][0] for name in SOURCES]
    assert [each["verdict"] for each in found] == ["ok", "warning", "failed"]
    assert f"{seen}, 400 days ago" in found[0]["text"]
    assert "python -m tasks.mofa.try unrecorded --record" in found[1]["advice"]
    assert "MOFA_SOURCE" in found[2]["advice"]
    (tmp_path / "record.toml").write_text("title = 3")
    several = doctor(tmp_path, MOFA_SOURCES=str(tmp_path), MOFA_SOURCE="*record*")[1]["source"]
    assert [each["verdict"] for each in several] == ["failed", "ok", "warning"], "each source of the pattern"
    [none] = doctor(tmp_path, MOFA_SOURCES=str(tmp_path), MOFA_SOURCE="nothing*")[1]["source"]
    assert none["verdict"] == "failed"


def test_a_wrong_setting_is_one_line(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, DATABASE_URL="mysql://a:secret-word@b/c", NOTIFY_URLS="jsn://secret-word@x/")
    assert code == 2
    assert "only PostgreSQL" in found["database"][0]["text"]
    assert "Address 1 of NOTIFY_URLS" in found["channels"][0]["text"]
    assert "secret-word" not in str(found)


# ---------------------------------------------------------------------- telling


def test_a_failure_is_reported_once_and_its_recovery_once(tmp_path: Path, webhook: Webhook) -> None:
    for findings in (WELL, DEAD, DEAD, WELL, WELL, DEAD):
        memory = AlertMemory(tmp_path)
        assert send_alerts(findings, memory, listeners(webhook), NOW) == []
        memory.save()
    titles = [each["title"] for each in webhook.got]
    assert titles == [f"embassy-jobs: check {what}: server" for what in ("failed", "passed again", "failed")]
    assert "start it" in webhook.got[0]["message"]


def test_a_check_that_cannot_be_made_has_neither_failed_nor_passed(tmp_path: Path, webhook: Webhook) -> None:
    lost_worker = [WELL[0], Finding("worker", "failed", "none", "start one")]
    for findings in (lost_worker, DEAD, lost_worker, WELL):
        memory = AlertMemory(tmp_path)
        send_alerts(findings, memory, listeners(webhook), NOW)
        memory.save()
    assert [each["title"].partition(": ")[2] for each in webhook.got] == [
        "check failed: worker",
        "check failed: server",
        "check passed again: server",
        "check passed again: worker",
    ]


def test_a_channel_that_did_not_take_it_gets_it_the_next_time_and_no_other_twice(
    tmp_path: Path, webhook: Webhook
) -> None:
    with a_webhook() as other:
        other.status = 503
        memory = AlertMemory(tmp_path)
        assert len(send_alerts(DEAD, memory, listeners(webhook, other), NOW)) == 1
        other.status = 200
        other.got.clear()
        assert send_alerts(DEAD, memory, listeners(webhook, other), NOW) == []
        assert send_alerts(DEAD, memory, listeners(webhook, other), NOW) == []
        assert len(webhook.got) == len(other.got) == 1


def test_what_the_watchdog_reports_is_not_reported_by_doctor_too(tmp_path: Path, webhook: Webhook) -> None:
    late = Finding("jobs", "failed", "one was due", "see its runs", alert=False)
    assert send_alerts([late], AlertMemory(tmp_path), listeners(webhook), NOW) == []
    assert webhook.got == []


def test_a_damaged_memory_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "doctor.json").write_text("{half")
    assert AlertMemory(tmp_path).reported == {}


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DATA_DIR whose disk is full for what doctor writes; the other disks are here too."""
    for name in ("full", "tmp", "shm"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "doctor.new").symlink_to("/dev/full")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr("deployments.doctor.alerts.SHARED_MEMORY", tmp_path / "shm")
    return tmp_path / "full"


def test_on_a_full_disk_it_is_reported_once_too(full: Path, webhook: Webhook) -> None:
    for findings in (DEAD, DEAD, WELL, WELL, DEAD):
        memory = AlertMemory(full)
        send_alerts(findings, memory, listeners(webhook), NOW)
        memory.save()
    titles = [each["title"] for each in webhook.got]
    assert titles == [f"embassy-jobs: check {what}: server" for what in ("failed", "passed again", "failed")]
    (full / "doctor.new").unlink()  # space again: what stands elsewhere is read once more, and then it is old
    for findings in (DEAD, WELL, WELL):
        memory = AlertMemory(full)
        send_alerts(findings, memory, listeners(webhook), NOW)
        memory.save()
    assert [each["title"].rpartition(" passed again: ")[2] for each in webhook.got[3:]] == ["server"]
    assert json.loads((full / "doctor.json").read_text()) == {}


def test_where_every_disk_is_full_there_is_still_memory(full: Path) -> None:
    [place, _] = other_disks(full)
    place.mkdir(mode=0o700)
    (place / "doctor.new").symlink_to("/dev/full")
    memory = AlertMemory(full)
    memory.reported = {"server": {"since": "then", "channels": []}}
    memory.save()
    assert AlertMemory(full).reported == memory.reported


@pytest.mark.parametrize("trap", ["open to others", "a link"])
def test_what_others_may_have_written_is_neither_read_nor_written_to(full: Path, tmp_path: Path, trap: str) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "doctor.json").write_text('{"server": {"since": "never", "channels": []}}')
    for place in other_disks(full):
        place.symlink_to(theirs) if trap == "a link" else shutil.copytree(theirs, place)
        place.chmod(0o700 if trap == "a link" else 0o770)
    memory = AlertMemory(full)
    assert memory.reported == {}
    with pytest.raises(OSError, match="No space left"):
        memory.save()
    assert not list(tmp_path.glob("*/*/doctor.new"))
    assert not (theirs / "doctor.new").exists()


# ---------------------------------------------------------------------- automations


def test_automations_are_brought_once_however_often_they_are_deployed(prefect_server: None) -> None:
    with get_client(sync_client=True) as client:
        server = PrefectApi(str(client.api_url).rstrip("/"), ours=True)
    [wanted] = automations.AUTOMATIONS
    for there in server.automations(wanted["name"]):
        server.delete_automation(there["id"])
    assert automations.missing(server) == [wanted["name"]]
    assert automations.apply(server) == 1
    assert automations.apply(server) == 0
    assert automations.missing(server) == []
    server.put_automation(wanted, None)  # as `prefect automation create` does it
    server.put_automation(wanted | {"enabled": False}, server.automations(wanted["name"])[0]["id"])
    assert len(server.automations(wanted["name"])) == 2
    assert automations.apply(server) == 1
    assert len(server.automations(wanted["name"])) == 1
    assert automations.missing(server) == []


@pytest.mark.slow
def test_the_automation_looks_at_our_flows_and_at_no_other_project(database: str, prefect_server: None) -> None:
    """All events of its runs count: with one left out, a living run would seem silent."""

    @flow(name="somebody-elses")
    def other() -> None:
        """Of another project, whose runs send a heartbeat every three minutes."""

    trigger = EventTrigger.model_validate(automations.AUTOMATIONS[0]["trigger"])
    since = datetime.now(UTC)
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 30}):
        watchdog(return_state=True)
        other()

    def received_events() -> dict[str, set[str]]:
        """Of each flow the names of the events that the trigger takes, or does not take."""
        with get_client(sync_client=True) as client:
            answer = client.request(
                "POST", "/events/filter", json={"filter": {"occurred": {"since": f"{since}"}}}
            ).json()
        found: dict[str, set[str]] = {}
        for event in map(ReceivedEvent.model_validate, answer["events"]):
            if event.event.startswith("prefect.flow-run."):
                [name] = [each.name for each in event.related if each.role == "flow"]
                found.setdefault(f"{name} {trigger.covers(event)}", set()).add(event.event.rpartition(".")[2])
        return found

    expected = {"Pending", "Running", "heartbeat", "Completed"}
    until(
        lambda: received_events() == {"watchdog True": expected, "somebody-elses False": expected},
        "the events are there",
    )


@pytest.mark.parametrize(("given", "seconds"), [({}, 30), ({"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "45"}, 45)])
def test_a_run_in_the_foreground_sends_heartbeats_as_often_as_the_automation_expects(
    given: dict[str, str],
    seconds: int,
    database: str,
    prefect_server: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Otherwise it would be marked as crashed while it works or waits."""

    @flow
    def job() -> State[Any]:
        return Completed(message=f"every {PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()} s")

    server = {"PREFECT_API_URL": str(PREFECT_API_URL.value()), "PREFECT_HOME": str(PREFECT_HOME.value())}
    monkeypatch.setattr(os, "environ", os.environ | server | {"PREFECT_LOGGING_LEVEL": "INFO"} | given)
    with use_profile("ephemeral", include_current_context=False):  # without what the fixture sets
        assert run_in_foreground(job, {}) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"every {seconds} s"


# ---------------------------------------------------------------------- a real make up
