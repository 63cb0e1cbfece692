"""The monitor from the flow to the tables, over HTTP on loopback: what changed is stored and reported once."""

from datetime import UTC, datetime, timedelta

import pytest
from support import ministry as fake_ministry
from support.ministry import HOST, a_ministry, missions
from support.watch import DAY, edited, title_of_baseline, without

from tasks.mofa import steps
from tasks.state_names import HELD


def test_the_first_set_is_a_baseline_and_reported_as_one_message(watch):
    watch.ministry.show(missions())
    report = watch.report()
    assert (report["baseline"], report["missions"], report["counts"]) == (True, 40, {})
    assert watch.shown() == missions()
    assert watch.changes("testland") == []
    assert watch.alerts() == [title_of_baseline(40)]


@pytest.mark.parametrize("etags", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_an_unchanged_run_parses_and_keeps_nothing_and_moves_only_verified(watch, etags):
    parsed: list[str] = []
    real = fake_ministry.a_ministry().parse
    watch.sources["testland"] = a_ministry(parse=lambda page: parsed.append(page.url) or real(page))
    watch.ministry.etags = etags
    watch.without_mirror()
    watch.ministry.show(missions())
    watch()
    before, snapshots = watch.missions(), watch.rows("SELECT id, body, fetched_at FROM page_snapshots ORDER BY id")
    assert len(parsed) == len(snapshots) == 5
    parsed.clear()
    watch.alerts()
    report = watch.report()
    assert (report["pages"], report["unchanged"], report["changes"]) == (5, 5, 0)
    assert watch.ministry.unchanged == (5 if etags else 0)
    assert parsed == []
    assert watch.rows("SELECT id, body, fetched_at FROM page_snapshots ORDER BY id") == snapshots
    after = watch.missions()
    for key, row in before.items():
        assert after[key]["last_verified"] > row["last_verified"]
        assert {**after[key], "last_verified": 0} == {**row, "last_verified": 0}
    assert watch.alerts() == []


def test_a_change_of_each_kind_is_stored_with_old_and_new_and_reported_once(watch):
    rows = missions()
    watch.ministry.show(rows)
    watch()
    watch.alerts()
    later = without(edited(rows, "m1", phone="+33 9 99"), "m2", "m3", "m4")
    later["m50"] = {**rows["m3"], "name": "Mission Three"}  # another key, the same address, phone, e-mail
    later["m51"] = {**rows["m4"], "address": "1 New Street"}
    later["m52"] = missions(60)["m52"]
    watch.ministry.show(later)
    assert watch.applied() == {"missing": 1, "added": 1, "moved": 1, "renamed": 1, "changed": 1}
    assert {
        (each["kind"], each["key"], each["field"], each["old"], each["new"]) for each in watch.changes("testland")
    } == {
        ("changed", "m1", "phone", "+33 1 000001", "+33 9 99"),
        ("missing", "m2", None, None, None),
        ("renamed", "m50", "name", "Embassy 3 大使館", "Mission Three"),
        ("moved", "m51", "address", rows["m4"]["address"], "1 New Street"),
        ("added", "m52", None, None, None),
    }
    assert watch.shown() == later
    assert watch.alerts() == ["testland: 1 missing, 1 added, 1 moved, 1 renamed, 1 changed"]
    assert watch.applied() == {}
    assert watch.alerts() == []


@pytest.mark.slow
def test_one_page_that_changed_is_the_only_one_read_again(watch):
    watch.ministry.show(missions())
    watch()
    watch.ministry.show(edited(missions(), "m1", phone="+33 9 99"))
    report = watch.report()
    assert (report["pages"], report["unchanged"], report["counts"]) == (5, 4, {"changed": 1})
    (change,) = watch.changes("testland")
    (proof,) = watch.rows("SELECT url, body FROM page_snapshots WHERE id = %s", change["snapshot_id"])
    assert proof["url"] == f"{HOST}/region/1"
    assert "+33 9 99" in proof["body"]


# --- missing, closed, reopened


@pytest.mark.slow
def test_a_mission_is_closed_only_by_a_run_on_a_later_day_and_can_come_back(watch):
    start = datetime(2026, 1, 5, 3, tzinfo=UTC)
    watch.slot(start)
    watch.ministry.show(missions())
    watch()
    watch.ministry.show(without(missions(), "m7"))
    watch.slot(start + DAY)
    assert watch.applied() == {"missing": 1}
    assert watch.missions()["m7"]["missing_since"] == start + DAY
    for begin in (watch.slot, watch.manual_start):
        begin(start + DAY + timedelta(hours=19, minutes=59))
        assert watch.applied() == {}, "too early"
    assert watch.missions()["m7"]["status"] == "missing"
    watch.slot(start + DAY + timedelta(hours=20))
    assert watch.applied() == {"closed": 1}
    watch.slot(start + 3 * DAY)
    assert watch.applied() == {}, "closed is reported once"
    assert watch.missions()["m7"]["status"] == "closed"
    watch.ministry.show(edited(missions(), "m7", phone="+33 7"))
    watch.slot(start + 4 * DAY)
    assert watch.applied() == {"reopened": 1, "changed": 1}
    assert watch.shown() == edited(missions(), "m7", phone="+33 7")
    assert [each["kind"] for each in watch.changes("testland")] == ["missing", "closed", "reopened", "changed"]
    (proof,) = watch.rows("SELECT url FROM page_snapshots WHERE id = %s", watch.changes("testland")[0]["snapshot_id"])
    assert proof["url"] == f"{HOST}/region/3", "the page where it stood, as it is without it"
    assert watch.alerts() == [
        title_of_baseline(40),
        "testland: 1 missing",
        "testland: 1 closed",
        "testland: 1 reopened, 1 changed",
    ]


@pytest.mark.slow
def test_a_slot_is_done_once(watch):
    watch.slot(datetime(2026, 1, 5, 3, tzinfo=UTC))
    watch.ministry.show(missions())
    first = watch.report()
    before, asked = watch.tables(), len(watch.ministry.asked)
    assert watch.report() == first
    assert (watch.tables(), len(watch.ministry.asked)) == (before, asked)


def test_a_slot_that_was_held_is_found_held(watch):
    watch.slot(datetime(2026, 1, 5, 3, tzinfo=UTC))
    watch.sources["testland"] = a_ministry(verified=False)
    watch.ministry.show(missions())
    assert [watch().name, watch().name] == [HELD, HELD]


def test_a_backfill_run_for_yesterday_sees_the_page_of_today():
    """Else a mission missed at 02:15 for the slot of the day before would be closed at 03:00."""
    now = datetime.now(UTC)
    assert steps.time_of_run(now - DAY, now, scheduled=True) == now - DAY
    assert steps.time_of_run(now - DAY, now, scheduled=False) == now
    assert steps.time_of_run(None, now, scheduled=False) == now


@pytest.mark.slow
def test_a_mirror_and_the_ministry_are_not_asked_with_what_the_other_said_of_a_page(watch):
    watch.ministry.etags = True
    watch.ministry.show(missions())
    watch()
    assert watch.report()["unchanged"] == 5, "not parsed again"
    assert watch.rows("SELECT etag FROM page_snapshots WHERE etag IS NOT NULL") == []
    watch.without_mirror()
    watch.report()
    assert watch.ministry.unchanged == 0
    validators = watch.rows("SELECT etag FROM page_snapshots WHERE etag IS NOT NULL ORDER BY id")
    watch.with_mirror()
    watch.ministry.saved += 1
    watch.report()
    assert watch.ministry.unchanged == 0
    assert watch.rows("SELECT etag FROM page_snapshots ORDER BY id") == validators, "the ministry's"


def test_a_page_that_changes_its_validators_alone_is_asked_for_with_the_new_ones(watch):
    watch.ministry.etags = True
    watch.without_mirror()
    watch.ministry.show(missions())
    watch()
    watch.ministry.saved += 1
    assert watch.report()["unchanged"] == 5
    assert watch.ministry.unchanged == 0, "each was sent whole"
    assert watch.report()["unchanged"] == 5
    assert watch.ministry.unchanged == 5
