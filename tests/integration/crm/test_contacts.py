"""The rules that need the whole workbook or the stored contacts, on a real database.

`Model` says the same rules once more in plain Python, row by row and without a hash; any small workbooks must come out
the same from both.
"""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from support.contacts import (
    ADA,
    Row,
    empty_tables,
    flat,
    imported,
    partitions,
    people,
    rejects,
    staged,
    stored,
    verdicts,
)

from db import contacts, matching, staging
from db.engine import engine, transaction
from db.tables import CONTACT_FIELDS
from db.task_runs import LOCK_CLASS

ANY_WORKBOOK = settings(
    max_examples=settings.default.max_examples // 4,  # each is imported several times
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

pytestmark = pytest.mark.usefixtures("database")


# --- staging


def some_rows(number: int) -> list[dict[str, str]]:
    return [{"email": f"p{n}@x.org", "last_name": f"P{n}"} for n in range(1, number + 1)]


def test_staged_rows_are_counted_and_what_is_missing_is_named() -> None:
    import_id, _, _ = staged(some_rows(9), batch_rows=3)
    batches = [(2, 4, 3), (5, 7, 3), (8, 10, 3)]  # below the headings
    with transaction() as connection:
        assert staging.unstaged(connection, import_id, batches) == []
        connection.execute(text(f"DELETE FROM import_staging_{import_id} WHERE position IN (2, 6)"))
        assert staging.unstaged(connection, import_id, batches) == [2, 5]
        connection.execute(text(f"TRUNCATE import_staging_{import_id}"))
        assert staging.unstaged(connection, import_id, batches) == [2, 5, 8]


def test_rows_beyond_the_last_batch_are_of_another_reading_and_go() -> None:
    import_id, _, _ = staged(some_rows(9))
    with transaction() as connection:
        assert staging.unstaged(connection, import_id, [(2, 4, 3)]) == []
        assert connection.scalar(text(f"SELECT max(position) FROM import_staging_{import_id}")) == 4
        assert staging.unstaged(connection, import_id, []) == []
        assert connection.scalar(text(f"SELECT count(*) FROM import_staging_{import_id}")) == 0


def test_staging_a_batch_again_replaces_it() -> None:
    import_id, _, _ = staged(some_rows(4))
    blank = "," * (len(staging.STAGED_COLUMNS) - 4)
    again = "".join(f"{n},again,{n},{blank}\n" for n in (2, 3)).encode()
    for _ in range(2):
        with transaction() as connection:
            assert staging.stage(connection, import_id, 2, 3, [again[:7], again[7:]]) == 2
    with engine().connect() as connection:
        sheets = connection.scalars(text(f"SELECT sheet FROM import_staging_{import_id} ORDER BY position")).all()
    assert sheets == ["again", "again", "rows", "rows"]


def test_the_staging_of_finished_imports_is_dropped_and_that_of_others_kept() -> None:
    done, _, _ = staged(some_rows(1))
    working, _, _ = staged(some_rows(1))
    with transaction() as connection:
        connection.execute(text("UPDATE task_runs SET status = 'completed' WHERE id = :id"), {"id": done})
    latest, _, _ = staged(some_rows(1))
    assert partitions() == {f"import_staging_{working}", f"import_staging_{latest}"}


# --- one person, several rows


def test_the_rows_of_one_person_are_one_contact_and_the_report_says_in_what_they_differ() -> None:
    counts = imported(
        [
            {**ADA, "email": "ada@x.org", "phone": "111", "last_contacted": "2024-01-01", "Zip": "1"},
            {**ADA, "email": "ada@x.org", "city": "London", "last_contacted": "2024-03-01", "phone": "222", "Zip": "1"},
            {**ADA, "email": "ADA@x.org ", "last_contacted": "2024-02-01", "Zip": "2", "country": "UK"},
            {**ADA, "email": "ada@x.org", "city": "London"},
        ],
        columns=[*ADA, "email", "phone", "city", "country", "last_contacted", "Zip"],
    )
    assert verdicts(counts) == {"inserted": 1, "duplicate": 3}
    assert stored() == [
        {
            **ADA,
            "email": "ada@x.org",
            "phone": "222",
            "city": "London",
            "country": "UK",
            "last_contacted": "2024-03-01",
            "extra": {"Zip": "1"},
        }
    ]
    lead = {"sheet": "rows", "of_sheet": "rows", "of_row": 3}
    assert counts["duplicates"] == [
        {**lead, "row": 2, "differs": ["phone", "last_contacted"]},
        {**lead, "row": 4, "differs": ["last_contacted", "extra"]},
        {**lead, "row": 5, "differs": []},
    ]


def test_duplicates_are_found_across_batches() -> None:
    rows = [{"email": "a@x.org", "last_name": "A"}, *some_rows(5), {"email": "a@x.org", "last_name": "a"}]
    assert verdicts(imported(rows, batch_rows=2)) == {"inserted": 6, "duplicate": 1}


def test_several_people_on_one_address_all_exist_and_the_report_lists_the_address() -> None:
    rows = [{"email": "info@x.org", "last_name": name} for name in ("Ada", "Bob", "Cyd")]
    counts = imported([*rows, {"email": "d@x.org", "last_name": "Dan"}, {"email": "info@x.org", "last_name": ""}])
    assert verdicts(counts) == {"inserted": 5}
    assert counts["shared_emails"] == [["info@x.org", 4]]
    assert verdicts(imported(rows[::-1])) == {"unchanged": 3}


def test_reasons_are_counted() -> None:
    counts = imported([{**ADA, "email": email} for email in ("a@x.org", "nobody", "no one")])
    [[field, _, count]] = counts["reject_reasons"]
    assert (field, count) == ("email", 2)


def test_reasons_that_name_their_cell_are_counted_together() -> None:
    import_id, _, _ = staged([ADA, ADA, ADA])
    with transaction() as connection:
        connection.execute(
            text(f"""
                UPDATE import_staging_{import_id} SET identity_hash = NULL, name_hash = NULL, raw = '[]', problems =
                    jsonb_build_array(jsonb_build_array('Email', '#REF!', 'D' || row_number || ' shows #REF!'))""")
        )
        assert matching.evaluate(connection, import_id).details["reject_reasons"] == [["Email", "shows #REF!", 3]]


# --- what nobody goes on with


def test_what_a_preview_staged_that_nobody_works_on_is_dropped_and_an_import_is_kept_for_a_while() -> None:
    now = datetime.now(UTC)
    preview, recent, old, held = (staged([ADA])[0] for _ in range(4))
    with transaction() as connection, engine().connect() as holder:
        connection.execute(text("UPDATE task_runs SET name = 'p' WHERE id = ANY(:ids)"), {"ids": [preview, held]})
        connection.execute(
            text("UPDATE task_runs SET updated_at = :then WHERE id = :id"), {"then": now - timedelta(days=9), "id": old}
        )
        holder.execute(text("SELECT pg_advisory_lock(:lock_class, :id)"), {"lock_class": LOCK_CLASS, "id": held})
        assert staging.drop_abandoned_staging(connection, "p", now - timedelta(days=8)) == 2
        left = connection.scalars(
            text("SELECT relname FROM pg_class WHERE relname LIKE 'import_staging__' AND relkind = 'r'")
        )
        assert sorted(left) == sorted(f"import_staging_{each}" for each in (recent, held))
        holder.execute(text("SELECT pg_advisory_unlock_all()"))


# --- stored contacts


def test_unchanged_rows_write_nothing() -> None:
    imported([{**ADA, "email": "ada@x.org", "Zip": "1"}])
    with engine().connect() as connection:
        before = connection.execute(text("SELECT xmin, ctid, * FROM contacts")).all()
    again = [
        {**ADA, "email": "ADA@x.org", "Zip": "1"},
        {**ADA, "email": "ada@x.org", "Zip": "", "city": ""},
    ]
    assert verdicts(imported(again)) == {"unchanged": 1, "duplicate": 1}
    assert verdicts(imported([{**ADA, "email": ""}])) == {"unchanged": 1}
    with engine().connect() as connection:
        assert connection.execute(text("SELECT xmin, ctid, * FROM contacts")).all() == before


def test_a_table_that_the_planner_takes_for_empty_is_not_read_again_for_every_row() -> None:
    imported(some_rows(1))
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DELETE FROM contacts"))
        connection.execute(text("VACUUM contacts"))
    import_id, _, _ = staged(some_rows(3000))
    with transaction() as connection:
        matching.evaluate(connection, import_id)
        assert contacts.merge(connection, import_id) == {"inserted": 3000, "updated": 0}
        scans = "SELECT seq_scan, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'contacts'"
        assert connection.execute(text(scans)).one() <= (10, 30_000)


def test_a_changed_cell_is_one_update_that_names_its_row() -> None:
    first = imported([*some_rows(3), {**ADA, "email": "ada@x.org", "phone": "111"}], columns=[*ADA, "email", "phone"])
    second = imported([*some_rows(3), {**ADA, "email": "ada@x.org", "phone": "222"}], columns=[*ADA, "email", "phone"])
    assert verdicts(second) == {"unchanged": 3, "updated": 1}
    with engine().connect() as connection:
        found = connection.execute(
            text("SELECT import_id, source_sheet, source_row, updated_at > created_at, phone FROM contacts ORDER BY 3")
        ).all()
    assert found == [(first["import_id"], "rows", n, False, None) for n in (2, 3, 4)] + [
        (second["import_id"], "rows", 5, True, "222")
    ]


def test_a_blank_never_erases_and_extra_merges_by_heading() -> None:
    imported([{**ADA, "email": "ada@x.org", "phone": "111", "notes": "old", "Zip": "1", "Room": "7"}])
    counts = imported([{**ADA, "email": "ada@x.org", "phone": "", "notes": "new", "Zip": " ", "Floor": "3"}])
    assert verdicts(counts) == {"updated": 1}
    extra = {"Zip": "1", "Room": "7", "Floor": "3"}
    assert stored() == [{**ADA, "email": "ada@x.org", "phone": "111", "notes": "new", "extra": extra}]


@pytest.mark.parametrize("stored_first", [True, False])
@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ({"full_name": "Ada King Lovelace"}, {"first_name": "Ada", "last_name": "King Lovelace"}, None),
        ({"full_name": "Ada"}, {"first_name": "Ada"}, None),
        ({"first_name": "Ada Lovelace"}, {"first_name": "Ada", "last_name": "Lovelace"}, ("Ada", "Lovelace")),
        ({"last_name": "Ada Lovelace"}, {"first_name": "Ada", "last_name": "Lovelace"}, ("Ada", "Lovelace")),
    ],
)
def test_first_and_last_name_stay_together(
    one: dict[str, str], other: dict[str, str], names: tuple[str, str] | None, stored_first: bool
) -> None:
    """A name that was split differently is the same name: half of it never mixes with half of the other."""
    rows = [{"email": "a@x.org", **each} for each in ((one, other) if stored_first else (other, one))]
    imported(rows[:1])
    assert imported(rows[1:])["inserted"] == 0
    [ada] = stored()
    whole = " ".join(ada[name] for name in ("first_name", "last_name") if name in ada)
    assert whole == " ".join(other.values())
    assert names in (None, (ada.get("first_name"), ada.get("last_name")))


# --- who without an address is who with one


NAMELESS = {**ADA, "phone": "111"}
KNOWN = {**ADA, "email": "ada@x.org", "city": "London"}
WHOLE = {**NAMELESS, **KNOWN}


@pytest.mark.parametrize("rows", [[NAMELESS, KNOWN], [KNOWN, NAMELESS]])
def test_a_colleague_whose_address_arrives_later_or_was_known_before_is_one_person(rows: list[Row]) -> None:
    imported(rows[:1])
    assert verdicts(imported(rows[1:])) == {"updated": 1}
    assert stored() == [WHOLE]
    assert verdicts(imported(rows)) == {"unchanged": 1, "duplicate": 1}


@pytest.mark.parametrize("rows", [[NAMELESS, KNOWN], [KNOWN, NAMELESS]])
def test_with_and_without_an_address_in_one_workbook_is_one_person(rows: list[Row]) -> None:
    assert verdicts(imported(rows)) == {"inserted": 1, "duplicate": 1}
    assert stored() == [WHOLE]


def test_an_adopted_contact_is_the_same_row_with_the_new_identity() -> None:
    imported([NAMELESS])
    with engine().connect() as connection:
        before = connection.execute(text("SELECT id, name_hash, created_at FROM contacts")).all()
    imported([KNOWN])
    with engine().connect() as connection:
        assert connection.execute(text("SELECT id, name_hash, created_at FROM contacts")).all() == before
    assert verdicts(imported([{**KNOWN, "organization": "Other"}])) == {"updated": 1}
    assert verdicts(imported([NAMELESS])) == {"inserted": 1}  # nobody of that name is at ACME any more


def test_what_two_people_claim_neither_gets() -> None:
    other = {**KNOWN, "email": "ada@other.org"}
    imported([NAMELESS])
    assert verdicts(imported([KNOWN, other])) == {"inserted": 2}
    assert NAMELESS in stored()
    empty_tables()
    imported([KNOWN, other])
    assert verdicts(imported([NAMELESS])) == {"inserted": 1}


def test_one_stored_and_one_new_claimant_are_two() -> None:
    imported([KNOWN])
    assert verdicts(imported([{**KNOWN, "email": "ada@other.org"}, NAMELESS])) == {"inserted": 2}


def test_of_two_contacts_that_one_person_claims_neither_is_chosen() -> None:
    imported([NAMELESS, {**NAMELESS, "organization": "Other"}])
    rows = [KNOWN, {**KNOWN, "organization": "Other"}]
    assert verdicts(imported(rows)) == {"inserted": 1, "duplicate": 1}
    assert sum("email" not in contact for contact in stored()) == 2


def test_two_stored_contacts_stay_two() -> None:
    imported([NAMELESS, {**KNOWN, "organization": "Other"}])
    assert verdicts(imported([{**KNOWN, "city": "Rome"}])) == {"updated": 1}
    assert sorted(contact.get("email", "") for contact in stored()) == ["", "ada@x.org"]


def test_of_rows_that_contradict_each_other_the_same_one_wins_in_any_order() -> None:
    rows = [{**ADA, "email": "ada@x.org", "phone": phone} for phone in ("111", "222", "333")]
    winners = []
    for order in itertools.permutations(rows):
        empty_tables()
        imported(order)
        winners += [contact["phone"] for contact in stored()]
    assert len(winners) == 6
    assert len(set(winners)) == 1


def test_a_rejected_row_claims_nobody() -> None:
    imported([NAMELESS])
    assert verdicts(imported([{**KNOWN, "phone": "no number given"}])) == {"rejected": 1}
    assert stored() == [NAMELESS]


def test_a_row_that_leaves_the_organisation_blank_changes_nothing_of_who_it_is() -> None:
    """The organisation stays stored, so the person must still be found by it."""
    imported([KNOWN])
    assert verdicts(imported([{**KNOWN, "organization": "", "phone": "222"}])) == {"updated": 1}
    assert verdicts(imported([NAMELESS])) == {"updated": 1}
    assert stored() == [WHOLE]


@pytest.mark.parametrize("later", ["", "2024-05-05"])
def test_within_a_workbook_a_person_is_found_by_the_organisation_that_another_row_gives(later: str) -> None:
    imported([{**KNOWN, "last_contacted": ""}, {**KNOWN, "organization": "", "last_contacted": later, "phone": "222"}])
    assert verdicts(imported([NAMELESS])) == {"updated": 1}
    assert len(stored()) == 1


# --- dates


def date_rows(*cells: str) -> list[dict[str, str]]:
    return [{"email": f"p{n}@x.org", "Last Contact": cell} for n, cell in enumerate(cells)]


@pytest.mark.parametrize(("proof", "expected"), [("13/04/2024", "2024-04-03"), ("04/13/2024", "2024-03-04")])
def test_unambiguous_dates_settle_the_others(proof: str, expected: str) -> None:
    assert verdicts(imported(date_rows("03/04/2024", proof))) == {"inserted": 2}
    assert [contact["last_contacted"] for contact in stored()] == [expected, "2024-04-13"]


@pytest.mark.parametrize("proofs", [[], ["13/04/2024", "04/13/2024"]])
def test_ambiguous_dates_that_nothing_settles_are_rejects(proofs: list[str]) -> None:
    counts = imported(date_rows("03/04/2024", *proofs))
    assert verdicts(counts)["rejected"] == 1
    [reject] = rejects(counts["import_id"])
    assert (reject.row_number, reject.column_name, reject.value) == (2, "Last Contact", "03/04/2024")
    assert "the day or with the month first" in reject.reason
    assert reject.row == [["email", "p0@x.org"], ["Last Contact", "03/04/2024"]]
    assert len(stored()) == len(proofs)


def test_what_rows_with_unsettled_dates_fill_is_returned_to_be_subtracted() -> None:
    rows = [
        {"email": "a@x.org", "phone": "", "Zip": "1", "Room": "", "Last Contact": "03/04/2024"},
        {"email": "b@x.org", "phone": "111", "Zip": "2", "Room": "7", "Last Contact": "03/04/2024"},
        {"email": "c@x.org", "phone": "222", "Zip": "3", "Room": "", "Last Contact": "2024-01-01"},
        {"email": "nobody", "phone": "333", "Zip": "4", "Room": "8", "Last Contact": "03/04/2024"},
    ]
    import_id, headings, end = staged(rows)
    with transaction() as connection:
        unsettled = staging.resolve_ambiguous_dates(connection, import_id, end.day_first, headings.date_columns)
    assert unsettled.rows == 2
    assert unsettled.filled == {"email": 2, "phone": 1, "last_contacted": 2}
    assert unsettled.filled_extra == {"Zip": 2, "Room": 1}
    with transaction() as connection:
        assert staging.resolve_ambiguous_dates(connection, import_id, True, headings.date_columns).rows == 0


def test_a_rejected_row_proves_nothing_about_dates() -> None:
    rows = [*date_rows("03/04/2024"), {"email": "nobody", "Last Contact": "13/04/2024"}]
    assert verdicts(imported(rows)) == {"rejected": 2}


# --- rejects


def test_each_faulty_cell_is_kept_with_its_row_and_keeping_again_replaces() -> None:
    import_id, _, _ = staged([*some_rows(1), {"email": "at x", "last_name": "a\0b", "Zip": "-1+1"}])
    for _ in range(2):
        with transaction() as connection:
            assert contacts.keep_rejects(connection, import_id, limit=9) == 2
    row = [["email", "at x"], ["last_name", "a␀b"], ["Zip", "-1+1"]]
    found = sorted(rejects(import_id), key=lambda reject: reject.column_name or "")
    assert [(r.sheet, r.row_number, r.column_name, r.value, r.row) for r in found] == [
        ("rows", 3, "email", "at x", row),
        ("rows", 3, "last_name", "a␀b", row),
    ]


# --- any workbook, against the rules once more in plain Python


Key = tuple[str, ...]
COMPARED = ("phone", "street", "city", "country", "notes", "last_contacted")


class Record(dict[str, Any]):
    """A row, or a stored contact: its cells that are not blank, and `extra`."""

    system: str | None = None  # of external_id
    person: Key = ()  # whose it is
    name: Key = ()  # organisation and name, or organisation and place
    mail: Key | None = None  # e-mail and name

    @property
    def whole(self) -> str:
        return f"{self.get('first_name', '')} {self.get('last_name', '')}".strip().casefold()

    @property
    def parts(self) -> int:
        return ("first_name" in self) + ("last_name" in self)

    @property
    def has_place(self) -> bool:
        return any(field in self for field in ("street", "city", "country"))

    @property
    def mail_alone(self) -> bool:
        return "email" in self and "external_id" not in self and not self.parts

    @property
    def weak(self) -> bool:
        return not ("email" in self or "external_id" in self)

    def identify(self) -> None:
        """Make the keys that a row has of its own."""
        folded = [self.get(field, "").casefold() for field in ("organization", "street", "city", "country")]
        self.name = ("name", folded[0], self.whole) if self.whole else ("place", *folded)
        self.mail = ("mail", self["email"], self.whole) if "email" in self else None
        self.person = self.mail or self.name
        if "external_id" in self:
            self.person = ("id", str(self.system), self["external_id"])
        else:
            self.mail = None

    def named(self, other: "Record") -> None:
        for name in ("first_name", "last_name"):
            self.pop(name, None)
            if name in other:
                self[name] = other[name]


@dataclass
class Model:
    """What is stored, and the rules of matching once more, row by row and without a hash.

    It knows no order of rows that were contacted on one day, so those must not differ where their order would tell.
    """

    stored: list[Record] = field(default_factory=list)
    bases: Counter[str] = field(default_factory=Counter)  # of the last import's updates

    def imports(self, rows: Sequence[Row], system: str | None = None) -> Counter[str]:
        counts: Counter[str] = Counter()
        good = [record for row in rows if (record := self._read(row, system)) is not None]
        lone = [
            record for record in good if list(record) == ["last_name"]
        ]  # headings of sections, unless most rows are such
        if 2 * len(lone) <= len(rows):
            good = [record for record in good if record not in lone]
        good = [record for record in good if not self._is_section(record, good, len(rows))]
        good = [record for record in good if not self._contradicts_its_own(record, good)]
        counts["rejected"] = len(rows) - len(good)
        adopted = self._ids(good)
        self._names(good, adopted)
        by_person: dict[Key, list[Record]] = {}
        for record in good:
            by_person.setdefault(record.person, []).append(record)
        known = {contact.person: (contact, "") for contact in self.stored if id(contact) not in adopted}
        known |= {adopted[id(c)][0]: (c, adopted[id(c)][1]) for c in self.stored if id(c) in adopted}
        self.bases = Counter()
        for who, everything in by_person.items():
            group = [record for record in everything if not (record.weak and self._contradicted(record, everything))]
            counts["rejected"] += len(everything) - len(group)
            if not group:
                continue
            counts["duplicate"] += len(group) - 1
            merged = self._merged(sorted(group, key=lambda record: record.get("last_contacted", ""), reverse=True))
            merged.person = who
            if who not in known:
                counts["inserted"] += 1
                self.stored.append(merged)
            else:
                counts["updated" if self._update(*known[who], merged) else "unchanged"] += 1
        return counts

    @staticmethod
    def _is_section(record: Record, good: Sequence[Record], rows: int) -> bool:
        """Whether it is nothing but an organisation that no person has, among people and few such rows."""
        firms = [each for each in good if not (each.whole or "email" in each)]
        lone = [each for each in firms if list(each) == ["organization"]]
        people = [each.get("organization", "").casefold() for each in good if each.whole or "email" in each]
        few = 2 * len(lone) <= rows and len(lone) <= max(rows / 10, 10) and 50 * (len(firms) - len(lone)) <= rows
        return few and record in lone and record["organization"].casefold() not in people

    @staticmethod
    def _read(row: Row, system: str | None) -> Record | None:
        cells = {k: v for k, v in row.items() if v}
        extra = {k: cells.pop(k) for k in list(cells) if k not in CONTACT_FIELDS}
        identified = any(cells.get(name) for name in ("organization", "last_name", "email"))
        half = bool(cells.get("first_name")) and not cells.get("last_name") and not cells.get("email")
        if half and cells.get("phone"):
            identified, half = True, False
        if not identified or half or "@" not in cells.get("email", "@"):
            return None
        record = Record(cells | ({"extra": extra} if extra else {}))
        record.system = system if "external_id" in cells else None
        record.identify()
        return record

    # --- external ids

    def _ids(self, good: Sequence[Record]) -> dict[int, tuple[Key, str]]:
        """Give rows their person by e-mail and name; returns id(stored contact) -> who takes it over, and by what."""
        stored = {contact.person: contact for contact in self.stored}
        new: dict[Key, Key] = {}  # id -> its next identity
        mails: dict[Key, Key] = {}
        for person in {record.person for record in good if "external_id" in record and record.person not in stored}:
            own = [record for record in good if record.person == person]
            if with_mail := [record.mail for record in own if record.mail]:
                new[person] = mails[person] = min(with_mail)
            else:
                new[person] = min(own, key=self._as_sorted).name
        adopted: dict[int, tuple[Key, str]] = {}
        for contact in self.stored:
            candidates = sorted(person for person, following in new.items() if following == contact.person)
            in_use = any(record.person == contact.person for record in good)
            if candidates and "external_id" not in contact and not (in_use and self._many_or_weak(candidates, mails)):
                first = candidates[0]
                adopted[id(contact)] = (first, self._basis(contact))
        self._other_systems(good, {k: v for k, v in mails.items() if k not in {who for who, _ in adopted.values()}})
        for record in good:
            if "external_id" not in record and record.person[0] == "mail":
                owners = {each.person for each in [*good, *self.stored] if each.mail == record.person}
                own = stored.get(record.person)
                if len(owners) == 1 and (own is None or id(own) in adopted):
                    record.person = owners.pop()
        return adopted

    @staticmethod
    def _as_sorted(record: Record) -> tuple[str, str]:
        places = [record[field] for field in ("organization", "street", "city", "country") if field in record]
        return record.whole, " ".join(places).casefold()

    @staticmethod
    def _many_or_weak(candidates: Sequence[Key], mails: Mapping[Key, Key]) -> bool:
        return len(candidates) > 1 or candidates[0] not in mails

    def _basis(self, record: Record) -> str:
        if "email" not in record:
            return self._weak_basis(record)
        return "e-mail and name" if record.parts else "e-mail"

    @staticmethod
    def _weak_basis(record: Record) -> str:
        return "organisation and name" if record.parts else "organisation and place"

    def _other_systems(self, good: Sequence[Record], mails: Mapping[Key, Key]) -> None:
        found = {
            person: [c for c in self.stored if c.mail == mail and c.system != person[1]]
            for person, mail in mails.items()
        }
        asked = Counter(id(contact) for those in found.values() for contact in those)
        for person, those in found.items():
            if len(those) == 1 and asked[id(those[0])] == 1:
                for record in good:
                    if record.person == person:
                        kept = {f"External id ({record.system})": record.pop("external_id")}
                        record["extra"] = record.get("extra", {}) | kept
                        record.system = record.mail = None
                        record.person = those[0].person

    # --- organisation and name

    def _names(self, good: Sequence[Record], adopted: dict[int, tuple[Key, str]]) -> None:
        """Let who has neither id nor e-mail be the only one of that name who has; in rows and in `adopted`."""
        strong: dict[Key, set[Key]] = {}
        for each in [*good, *self.stored]:
            if not each.weak or id(each) in adopted:
                strong.setdefault(each.name, set()).add(adopted.get(id(each), (each.person,))[0])
        only = {name: next(iter(those)) for name, those in strong.items() if len(those) == 1}
        unadopted = {c.name: c for c in self.stored if c.weak and id(c) not in adopted}
        owned = {contact.person for contact in self.stored} | {who for who, _ in adopted.values()}
        claimed = Counter(who for name, who in only.items() if name in unadopted)
        for name, who in list(only.items()):
            if name in unadopted and (who in owned or claimed[who] > 1):
                del only[name]
            elif name in unadopted and any(record.person == who for record in good):
                adopted[id(unadopted[name])] = (who, self._weak_basis(unadopted[name]))
        for record in good:
            if record.weak:
                record.person = only.get(record.name, record.person)

    def _contradicts_its_own(self, record: Record, good: Sequence[Record]) -> bool:
        """Whether another row of its id has another e-mail and name, or one of its e-mail says something else."""
        own = [other for other in good if other.person == record.person]
        if record.mail_alone:
            return self._contradicted(record, own)
        if "external_id" not in record or "email" not in record or not record.parts:
            return False
        return any(o["email"] != record["email"] and o.whole != record.whole for o in own if "email" in o and o.parts)

    @staticmethod
    def _contradicted(record: Record, group: Sequence[Record]) -> bool:
        def statements_of(each: Record) -> dict[str, str]:
            place = () if each.parts or "email" in each else ("street", "city", "country")
            stated = {f: each[f] for f in COMPARED if f in each and f not in place}
            if each.mail_alone and "organization" in each:
                stated["organization"] = each["organization"].casefold()
            return stated | {f"extra.{k}": v for k, v in each.get("extra", {}).items()}

        own = statements_of(record)
        return any(theirs.get(k, v) != v for theirs in map(statements_of, group) for k, v in own.items())

    # --- one of several

    @staticmethod
    def _merged(ranked: Sequence[Record]) -> Record:
        """One row of those of one person, who speak in this order."""
        merged = Record()
        for record in reversed(ranked):
            extra = {**merged.get("extra", {}), **record.get("extra", {})}
            merged.update(record)
            if extra:
                merged["extra"] = extra
        has_id = "external_id" in merged
        merged.system = next((record.system for record in ranked if record.system), None)
        lead = next((record.whole for record in ranked if record.parts), "")
        alike = [record for record in ranked if not has_id or record.whole == lead]
        merged.named(max(alike, key=lambda record: record.parts))
        merged.name = min(
            alike, key=lambda record: ("organization" not in record, not (record.has_place or record.whole))
        ).name
        merged.mail = next((record.mail for record in alike if record.mail), None)
        return merged

    def _update(self, contact: Record, basis: str, new: Record) -> bool:
        """Merge into a stored contact; whether that changes it."""
        if not basis:
            same_id = "external_id" in new and new["external_id"] == contact.get("external_id")
            basis = "external id" if same_id else self._basis(new)
        before, system = dict(contact), contact.system
        renamed = "external_id" in new and new.parts > 0 and new.whole != contact.whole
        self._rehash(contact, new, renamed)
        named = new if renamed or new.parts >= contact.parts else Record(contact)
        extra = {**contact.get("extra", {}), **new.get("extra", {})}
        contact.update({k: v for k, v in new.items() if k != "external_id" or "external_id" not in contact})
        contact.named(named)
        contact.system = contact.system or new.system
        contact.person = new.person
        if extra:
            contact["extra"] = extra
        changed = (dict(contact), contact.system) != (before, system)
        self.bases[basis] += changed
        return changed

    @staticmethod
    def _rehash(contact: Record, new: Record, renamed: bool) -> None:
        unnamed = contact.parts and not new.parts
        unplaced = contact.has_place and not (new.parts or new.has_place)
        loses_organization = "organization" in contact and "organization" not in new and not renamed
        if not (unnamed or unplaced or loses_organization):
            contact.name = new.name
        if "external_id" in new:
            if "email" not in new:
                contact.mail = None if renamed else contact.mail
            else:
                contact.mail = new.mail if new.parts or not contact.parts else None

    def people(self) -> list[tuple[tuple[str, str], ...]]:
        return flat(self.stored)


COLUMNS = [
    *("organization", "first_name", "last_name", "email", "phone", "city", "Zip", "external_id", "last_contacted"),
]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "organization": st.sampled_from(["", "ACME", "acme", "Born"]),
            "first_name": st.sampled_from(["", "", "Ada", "ADA"]),
            "last_name": st.sampled_from(["", "Lovelace", "Ada Lovelace", "Bell"]),
            "email": st.sampled_from(["", "", "a@x.org", "b@x.org", "info@x.org", "broken"]),
            "phone": st.sampled_from(["", "", "111", "222"]),
            "city": st.sampled_from(["", "London", "Rome"]),
            "Zip": st.sampled_from(["", "", "1", "2"]),
            "external_id": st.sampled_from(["", "", "", "1", "2", "3"]),
        }
    ).filter(lambda row: any(row.values())),
    min_size=1,
    max_size=9,
)
SYSTEMS = st.sampled_from(["one", "one", "two"])


def dated(rows: list[dict[str, str]], seed: int) -> list[dict[str, str]]:
    """With days that all differ, so that it is clear which row speaks first.

    Rows with a weak identity would contradict each other by their days: they have none, and no other case either.
    """
    days = random.Random(seed).sample(range(1, 29), len(rows))
    return [
        {**row, "last_contacted": f"2024-02-{day:02}"}
        if row["external_id"] or (row["email"] and (row["first_name"] or row["last_name"]))
        else {**row, "organization": row["organization"].upper(), "first_name": row["first_name"].title()}
        | {"last_contacted": ""}
        for row, day in zip(rows, days, strict=True)
    ]


def weak_updates(counts: Mapping[str, Any]) -> Counter[str]:
    return Counter(update["basis"] for update in counts["weak_updates"])


@ANY_WORKBOOK
@given(files=st.lists(st.tuples(ROWS, SYSTEMS), min_size=2, max_size=3), seed=st.integers(0, 1000))
def test_the_books_balance_and_contacts_are_as_the_rules_say(
    files: list[tuple[list[dict[str, str]], str]], seed: int
) -> None:
    empty_tables()
    model = Model()
    for n, (some, system) in enumerate(files):
        rows = dated(some, seed + n)
        counts = imported(rows, columns=COLUMNS, batch_rows=4, system=system)
        assert verdicts(counts) == +model.imports(rows, system)
        assert people() == model.people()
        assert weak_updates(counts) == +Counter(
            {k: v for k, v in model.bases.items() if k.startswith("org") or k == "e-mail"}
        )


@ANY_WORKBOOK
@given(files=st.lists(st.tuples(ROWS, SYSTEMS), min_size=1, max_size=3))
def test_no_value_of_any_row_is_lost(files: list[tuple[list[dict[str, str]], str]]) -> None:
    """It stands in a contact, in what an update or a repeated row left out, or with the rejected row."""
    empty_tables()
    for rows, system in files:
        imported(rows, columns=COLUMNS, system=system)
        # Of one person a name may be written in other case and divided otherwise: it is the same whole name.
        whole_names = {Record(contact).name for contact in stored()}
        values = {
            (k, v)
            for row in rows
            for k, v in row.items()
            if v and not (k in ("first_name", "last_name") and Record(row).name in whole_names)
        }
        with engine().connect() as connection:
            kept = {(k, str(v)) for contact in stored() for k, v in contact.items()}
            kept |= {item for contact in stored() for item in contact.get("extra", {}).items()}
            changes = connection.execute(text("SELECT coalesce(heading, field), old, new FROM contact_changes"))
            kept |= {(name, value) for name, *values in changes for value in values}
            cells = connection.execute(text('SELECT "row" FROM import_rejects')).scalars()
            kept |= {(name, value) for row in cells for name, value in row}
        kept |= {("external_id", value) for name, value in kept if name.startswith("External id (")}
        assert values <= kept


@ANY_WORKBOOK
@given(rows=ROWS, seed=st.integers(0, 1000))
def test_order_of_rows_and_columns_and_the_size_of_batches_do_not_matter(rows: list[dict[str, str]], seed: int) -> None:
    empty_tables()
    counts = verdicts(imported(rows, columns=COLUMNS))
    found = people()
    shuffled = random.Random(seed)
    empty_tables()
    again = imported(
        shuffled.sample(rows, len(rows)), columns=shuffled.sample(COLUMNS, len(COLUMNS)), batch_rows=1 + seed % 5
    )
    assert (verdicts(again), people()) == (counts, found)
    assert imported(rows, columns=COLUMNS)["inserted"] == 0


@st.composite
def of_one_truth(draw: st.DrawFn) -> list[dict[str, str]]:
    """Rows that say more or less of a few people and never contradict each other.

    Who has an address stands in each row with it and the organisation: a row with the address alone and one with the
    organisation alone say nothing of each other until a third comes.
    """
    rows = []
    for name in draw(st.lists(st.sampled_from(["Ada", "Bob", "Cyd", "Dan"]), min_size=1, max_size=9)):
        truth = {
            "phone": f"111{name}",
            "city": f"{name}ville",
            "Zip": name,
            "last_contacted": f"2024-01-{ord(name[0]) - 64:02}",
        }
        record = draw(st.sets(st.sampled_from([*truth, "email"])))
        mail = {"email": "info@x.org" if name < "C" else f"{name}@x.org".lower()} if "email" in record else {}
        rows.append(
            {"organization": "ACME", "first_name": name, "last_name": "Bell", **mail}
            | {key: value for key, value in truth.items() if key in record}
        )
    return rows


@ANY_WORKBOOK
@given(rows=of_one_truth(), cut=st.integers(0, 9))
def test_one_workbook_after_the_other_equals_both_in_one(rows: list[dict[str, str]], cut: int) -> None:
    empty_tables()
    imported(rows, columns=COLUMNS)
    together = people()
    empty_tables()
    for part in (rows[:cut], rows[cut:]):
        if part:
            imported(part, columns=COLUMNS)
    assert people() == together
    assert len(together) == len({row["first_name"] for row in rows})


@pytest.fixture(autouse=True)
def _nothing_left_behind(database: str) -> Iterator[None]:
    """The temporary tables of one evaluation must not be in the way of the next one on the same connection."""
    yield
    with engine().connect() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'"))
