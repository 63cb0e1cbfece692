"""Inputs that real systems and people made, kept beside the project with the right value of each.

One entry of `RIGHT` for each line of EXPECTED.md. Where a row may be rejected or the file refused instead ("R" there),
that is accepted; a value is never stored that differs from the right one. What speaks of contacts is imported into a
real database.
"""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from support.contacts import imported_file, rejects, stored
from support.project import SHARED
from support.staged import rows_in

from db.engine import transaction
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.table import heading_table
from tasks.crm.headings.text import is_known
from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.reading import read
from tasks.crm.worker_protocol import Batch, End, Headings, ReadRequest

FIELD = SHARED / "field" / "import"
pytestmark = pytest.mark.skipif(not FIELD.exists(), reason="the files lie beside the project, where there are any")

CODECS = [
    *("utf-8-sig", "utf-16", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "koi8-r", "mac-roman"),
    *("gbk", "euc-kr", "shift-jis"),
]
Values = Mapping[str, str | None]  # field -> value; None: the field is blank
MUST = "rejected"  # the row has to be rejected
SCIENTIFIC, DATE, TIME, FRACTION, NEGATIVE = "in scientific notation", "a date", "a time", "a fraction", "a negative"


@dataclass(frozen=True)
class Right:
    """What is right for one file."""

    rows: Mapping[int, Values | str] = field(default_factory=dict)  # number -> values; a text: the rejection names it
    rejectable: bool = False  # each row may be rejected, or the whole file refused, instead
    refused: str | None = None  # the file is refused; the sentence holds this
    columns: Mapping[str, str] = field(default_factory=dict)  # parameter `columns`
    assumption: str | None = None  # what an assumption says
    heading_row: int = 1
    not_read: Sequence[str] = ()  # sheets of which the result tells that they were not read


@dataclass
class Found:
    """What the reading process answered about one file."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    refusal: str | None = None
    headings: Headings | None = None
    end: End | None = None


def found_in(name: str, into: Path, columns: Mapping[str, str] | None = None) -> Found:
    found = Found()
    request = ReadRequest(str(FIELD / name), name, str(into), None, dict(columns or {}), 1000, 2048)
    try:
        for event in read(request):
            if isinstance(event, Headings):
                found.headings = event
            elif isinstance(event, Batch):
                found.rows |= {int(row["row_number"]): row for row in rows_in(event.path)}
            else:
                found.end = event
        if found.end and found.end.reject_name_only_rows:
            for row in found.rows.values():
                if row["raw"] and not row["problems"] and not row["month_first"]:  # settled in the database
                    row["problems"] = [[None, None, "has nothing but a name"]]
    except HeadingsError as error:
        found.refusal = f"{name}: {error.message(request.interface)}"
    except WorkbookError as error:
        found.refusal = str(error)
    return found


def person(first: str | None, last: str, **others: str | None) -> Values:
    return {"first_name": first, "last_name": last, **others}


def firm(name: str | None, city: str | None = None, country: str | None = None, **others: str | None) -> Values:
    return {"organization": name, "city": city, "country": country, "first_name": None, "last_name": None, **others}


def phones(**numbers: str) -> dict[int, Values | str]:
    return {int(row[1:]): {"phone": number} for row, number in numbers.items()}


ANN, BOB, CID, DAN = person("Ann", "Lee"), person("Bob", "Ray"), person("Cid", "Fox"), person("Dan", "Poe")
LANGUAGES: dict[str, Mapping[int, Values | str]] = {
    "slovene_cp1250.csv": {
        2: person("Jože", "Kovačič", organization="Čebelarstvo Žagar", city="Črnuče", email="joze@x.si"),
        3: person("Ančka", "Šušteršič", organization="Mlekarna", city="Kočevje", country="Slovenija"),
    },
    "russian_cp1251.csv": {
        2: person("Иван", "Петров", organization="ООО Ромашка"),
        3: person("Анна", "Сидорова", organization="Заря"),
    },
    "koi8.csv": {2: person("Иван", "Петров", email="i@x.ru")},
    "gbk.csv": {2: person("小明", "王", organization="北京公司"), 3: person("丽", "李", organization="上海贸易")},
    "greek_1253.csv": {2: person("Γιώργος", "Παπαδόπουλος")},
    "hebrew_1255.csv": {2: person("דוד", "כהן")},
    "euckr.csv": {2: person("민준", "김")},
    "turkish_1254.csv": {
        2: person("Ayşe", "Yıldız", organization="Işık Şirketi"),
        3: person("İbrahim", "Çağlar", organization="Güneş"),
    },
    "mac_roman.csv": {
        2: person("Jürgen", "Müller", organization="Größe GmbH"),
        3: person("Zoë", "Strauß", organization="Café Änderung"),
    },
    "mixed_enc.csv": {
        2: person("José", "Núñez"),
        3: person("Jürgen", "Müller"),
        4: person("Zoë", "Strauß"),
        5: person("René", "Béart"),
    },
}
RIGHT: dict[str, Right] = {
    **{name: Right(rows, rejectable=True) for name, rows in LANGUAGES.items()},
    "people_in_firm.csv": Right(
        {
            2: person("Mette", "Hansen", organization="Nordbank", phone="+45 11111111", city="Aarhus"),
            3: person("Lars", "Jensen", organization="Nordbank", phone="+45 22222222", city="Odense"),
            4: person("Søren", "Møller", organization="Nordbank", phone="+45 33333333", city="Aalborg"),
        }
    ),
    "firm_update_1.csv": Right({2: person("Mette", "Hansen", phone="+45 11111111")}),
    "firm_update_2.csv": Right({2: person("Lars", "Jensen", phone="+45 22222222")}),
    "branches.csv": Right(
        {
            2: firm("Nordbank", "Bonn", "Germany", phone="+49 228 111111"),
            3: firm("Nordbank", "Kiel", "Germany", phone="+49 431 222222"),
            4: firm("Nordbank", "Ulm", "Germany", phone="+49 731 333333"),
            5: firm("Sudbank", "Graz", "Austria", phone="+43 316 444444"),
        }
    ),
    "heading_is_data.csv": Right(
        {2: ANN, 3: BOB, 4: person("Town of", "Ulm"), 5: CID, 6: DAN},
    ),
    "heading_is_data_rejects.csv": Right({2: ANN, 3: BOB, 4: person(None, "Acme"), 5: CID}),
    "quote_swallow.csv": Right(
        {
            2: person("Ann", "Lee", organization='"Acme'),
            3: person("Bob", "Ray", organization="Beta"),
            4: person("Cid", "Fox", organization='"Gamma'),
            5: person("Dan", "Poe", organization="Delta"),
        },
        rejectable=True,
    ),
    "quote_swallow_500.csv": Right(
        {number: person(f"F{number - 2}", f"L{number - 2}", email=f"f{number - 2}@x.org") for number in range(2, 502)},
        rejectable=True,
    ),
    "quote_inner.csv": Right(
        {
            2: person("Ann", "Lee", organization='The "Big" Shop', city="Bonn"),
            3: person("Bob", "Ray", organization='5" Pipe, Inc', city="Ulm"),
            4: person("Cid", "Fox", organization="Ok", city="Kiel"),
        },
        rejectable=True,
    ),
    "quote_backslash.csv": Right(
        {
            2: person("Ann", "Lee", organization='The "Big" Shop, Ltd', city="Bonn"),
            3: person("Bob", "Ray", organization=None, city="Ulm"),
        },
        rejectable=True,
    ),
    "space_quote.csv": Right(
        {
            2: person("Ann", "Lee", organization="Acme, Inc", city="Bonn", country="DE"),
            3: person("Bob", "Ray", organization="Beta", city="Ulm", country="DE"),
        }
    ),
    "unquoted_comma2.csv": Right({2: "4 cells", 3: firm("Beta", "Ulm", "DE")}),
    "unquoted_newline.csv": Right(
        {
            2: firm("Acme", "Bonn", phone="123456", notes="first line"),
            3: MUST,
            4: firm("Beta", "Ulm", phone="234567", notes="ok"),
        }
    ),
    "bom_quote.csv": Right({2: firm("Acme, Inc", "Bonn")}),
    "smart_quotes.csv": Right({2: person("Ann", "Lee", email="ann@x.org", organization="Acme, Inc")}, rejectable=True),
    "outlook_ja_sjis.csv": Right(
        {2: person("太郎", "山田", email="taro@example.jp"), 3: person("花子", "鈴木", email="hanako@example.jp")}
    ),
    "ufffd.csv": Right(refused="lost"),
    "az_sheets.xlsx": Right({2: ANN}, not_read=["G-M", "N-Z"]),
    "companies_first.xlsx": Right({2: person("Ann", "Lee", organization="Acme", title="CEO")}, not_read=["Companies"]),
    "fmt_plus.xlsx": Right(
        phones(
            r2="+491701234567",
            r3="+491701234567",
            r4="+491701234567",
            r5="+49 170 1234567",
            r6="+49 170 1234567",
            r7="00491701234567",
            r8="0491701234567",
            r9="491701234567",
            r10="491701234567",
            r11="+49 491701234567",
            r12="491701234567",
            r13="+491701234567",
            r14="0049491701234567",
            r15="+491701234567",
            r16="(0)491701234567",
        )
    ),
    "odd_phones.xlsx": Right(
        {2: DATE, 3: NEGATIVE, 4: FRACTION, 5: "not a telephone number", 6: DATE, 7: FRACTION, 8: TIME, 9: "not a"}
    ),
    "formula_phone.xlsx": Right({2: NEGATIVE}),
    "phone_sci.csv": Right({2: SCIENTIFIC, 3: SCIENTIFIC, 4: {"phone": "491512345678"}, 5: NEGATIVE}),
    "sf_report.csv": Right({2: ANN, 3: BOB, 5: MUST, 7: MUST, 8: MUST, 9: MUST, 10: MUST, 11: MUST}),
    "repeat_header.csv": Right(
        {2: firm("Acme", "Bonn", "DE"), 3: firm("Beta", "Ulm", "DE"), 4: "headings", 5: firm("Gamma", "Kiel", "DE")}
    ),
    "sqlcmd2.csv": Right({2: MUST, 3: firm("Acme", "Bonn"), 4: firm("Beta"), 5: MUST, 7: MUST}),
    "ctrlz.csv": Right({2: firm("Acme", "Bonn", phone="123456"), 3: firm("Beta", "Ulm", phone="234567")}),
    "concat_bom.csv": Right({2: person("Ann", "Lee", city="Bonn"), 3: "headings", 4: person("Bob", "Ray", city="Ulm")}),
    "total_plain.xlsx": Right({2: firm("Acme", "Bonn", "DE"), 3: firm("Beta", "Ulm", "DE"), 4: "totals"}),
    "sections.xlsx": Right({2: MUST, 3: ANN, 4: BOB, 5: MUST, 6: CID}),
    "template_rows.xlsx": Right({2: "template", 3: "template", 4: person("Ann", "Lee", organization="Acme")}),
    "two_lists_below.xlsx": Right({2: ANN, 4: MUST, 5: MUST}),
    "suffix.csv": Right(
        {
            2: person("John Jr.", "Doe"),
            3: person("Jane PhD", "Smith"),
            4: person("Walter M. Jr.", "Miller"),
            5: person("Martin Luther Jr.", "King"),
            6: person(None, "Acme, Inc."),
            7: person("Ann", "Smith"),
            8: person("Dr. Eva M.D.", "Braun-Schmidt"),
        }
    ),
    "error_text.csv": Right({2: "#N/A", 3: "#REF!", 4: "#NV", 5: "#VALUE!"}),
    "photo_in_cell.xlsx": Right({2: ANN, 3: BOB}),
    "photo12.xlsx": Right({row: person(f"F{row - 2}", f"L{row - 2}", extra={}) for row in range(2, 14)}),  # type: ignore[arg-type]
    "geography.xlsx": Right({2: {**ANN, "country": None}, 3: {**BOB, "country": None}}),
    "formula_text.csv": Right(
        {2: {"phone": "004930123456", "extra.Zip": "01067"}, 3: {"phone": "004930999888", "extra.Zip": "04109"}}
    ),
    "apostrophe.csv": Right(
        {
            2: person("Ann", "Lee", phone="+49 30 123456", organization="=Equal GmbH"),
            3: person("Bob", "Ray", email="bob@x.org", phone="0049301234"),
        },
        assumption="apostrophe",
    ),
    "float_ids.csv": Right({2: {"phone": "4930123456", "extra.Zip": "1067", "extra.Customer No": "1001"}}),
    "mysql_null.tsv": Right({2: {**ANN, "organization": None}, 3: {**BOB, "email": None, "city": None}}),
    "entities.csv": Right(
        {
            2: person("Sean", "O'Brien", organization="M&M Ltd"),
            3: person("Jürgen", "Müller", organization="Größe <GmbH>"),
        },
        assumption="entities",
    ),
    "turkish.csv": Right({2: {"email": "ali.yildiz@firma.com.tr"}, 3: {"email": "ali.yildiz@firma.com.tr"}}),
    "google_multi.csv": Right(
        {
            2: person("Имя", "Фамилия"),
            3: {**person("Name", "Surname"), "email": "email1@example.com", "extra": "email2@example.com"},
            4: {"email": "only@example.com"},
        }
    ),
    "record_id.xlsx": Right(
        {row: person(f"F{row - 2}", "L", phone="111") for row in range(2, 14)}, columns={"Record ID": "ignore"}
    ),
    "headerless.csv": Right(refused=""),
    "contacts.ndjson": Right(refused="JSON"),
    "contacts.vcf": Right({2: person("Ann", "Lee"), 3: person("Bob", "Ray")}),  # is read since version 2
    "mhtml.xls": Right(refused="MHTML"),
    "html16.xls": Right({2: ANN}),  # is read since version 2
    "div_html.xls": Right({2: ANN}),
    "book.numbers": Right(refused="Numbers"),
    "preamble35.xlsx": Right(refused="rows 1 to 30"),
    "all_in_a.xlsx": Right(refused="not split"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_each_row_arrives_as_a_person_reads_it(name: str, tmp_path: Path) -> None:
    right = RIGHT[name]
    found = found_in(name, tmp_path, right.columns)
    if found.refusal is not None:
        assert right.refused is not None or right.rejectable, found.refusal
        assert re.search(re.escape(right.refused or ""), found.refusal)
        assert not shown(name, found.refusal)
        return
    assert right.refused is None
    assert set(found.rows) == set(right.rows)
    for number, values in right.rows.items():
        check(found.rows[number], values, rejectable=right.rejectable)
    assert found.headings is not None
    assert found.end is not None
    assert found.headings.row == right.heading_row
    assert [sheet.sheet for sheet in found.headings.not_read] == list(right.not_read)
    assert (right.assumption or "") in " ".join(found.end.assumptions)


@pytest.mark.parametrize("name", RIGHT)
def test_no_refusal_shows_a_cell(name: str, tmp_path: Path) -> None:
    """Each file is refused here, whatever else it holds: a heading is asked for that it does not have."""
    headings = found_in(name, tmp_path).headings
    known = [*headings.fields.values(), *headings.extra] if headings else []
    refusal = found_in(name, tmp_path, {"No such heading": "organization"}).refusal
    assert refusal is not None
    assert [cell for cell in shown(name, refusal) if not any(cell in heading for heading in known)] == []


def check(row: Mapping[str, Any], right: Values | str, *, rejectable: bool) -> None:
    """The row has the right values, or is rejected where it may be or must be."""
    reasons = " ".join(reason for *_, reason in row["problems"] or [])
    if isinstance(right, str):
        assert reasons, f"row {row['row_number']} is stored"
        assert right == MUST or right in reasons
        return
    if rejectable and reasons:
        return
    assert not reasons
    for name, value in right.items():
        if name.startswith("extra."):
            assert row["extra"][name.removeprefix("extra.")] == value
        elif name == "extra" and isinstance(value, str):
            assert value in row["extra"].values()
        else:
            assert row[name] == value, name


def shown(name: str, message: str) -> list[str]:
    """Texts of cells that the message shows: longer than three characters, and no headings."""
    message = message.replace(name, "")
    return [cell for cell in cells_of(name) if re.search(rf"(?<!\w){re.escape(cell)}(?!\w)", message)]


def cells_of(name: str) -> set[str]:
    """The texts of a file, in whatever format and encoding, and their parts; without those that are headings."""
    content = (FIELD / name).read_bytes()
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = [part for part in archive.namelist() if re.search(r"/(sheet\d+|sharedStrings)\.xml$", part)]
            texts = [re.sub(r"<[^>]*>", "\n", archive.read(part).decode()) for part in parts]
    else:
        texts = [content.decode(codec, "replace") for codec in CODECS]
    lines = [line.strip() for text in texts for line in re.split(r"[\r\n<>]+", text)]
    cells = {cell.strip(" \"'{}") for line in lines for cell in [line, *re.split(r"[,;:\t|\"]", line)]}
    return {cell for cell in cells if len(cell) > 3 and not is_known(cell, heading_table())}


def test_every_line_of_the_list_is_checked() -> None:
    listed = set(re.findall(r"[\w.]+\.(?:csv|tsv|xlsx|xls|vcf|ndjson|numbers)\b", EXPECTED()))
    known = set(RIGHT) | {name for name, _ in AFTER}
    files = {each.name for each in FIELD.iterdir() if each.is_file()}
    assert (listed & files) - known - {"firm_update_1"} == set()
    assert files - known == {"EXPECTED.md", "date_zero.xlsx", "exchange.csv"}  # these two are not in the list


def EXPECTED() -> str:  # noqa: N802 - the name of the file
    return (FIELD / "EXPECTED.md").read_text()


# --- what is in the database afterwards


def imported(name: str, into: Path) -> dict[str, Any]:
    """Import a file as the flow does, without Prefect; returns the counts."""
    directory = into / name
    directory.mkdir()
    return imported_file(ReadRequest(str(FIELD / name), name, str(directory), None, {}, 1000, 2048))


# Files, imported one after the other, and how many contacts there are then; "R": or rejected rows instead.
AFTER: list[tuple[str, tuple[list[str], int, bool]]] = [
    ("people_in_firm.csv", (["people_in_firm.csv"], 3, False)),
    ("firm_update_2.csv", (["firm_update_1.csv", "firm_update_2.csv"], 2, False)),
    ("branches.csv", (["branches.csv"], 4, True)),
    ("same_name.csv", (["same_name.csv"], 3, True)),
    ("fatherson.csv", (["fatherson.csv"], 1, False)),  # one by e-mail and name; what differs is in the history
    ("heading_is_data.csv", (["heading_is_data.csv"], 5, False)),
    ("heading_is_data_rejects.csv", (["heading_is_data_rejects.csv"], 4, False)),
    ("quote_swallow_500.csv", (["quote_swallow_500.csv"], 500, True)),
    ("turkish.csv", (["turkish.csv"], 1, True)),
    ("turkish2.csv", (["turkish2.csv"], 1, False)),
    ("first_only.csv", (["first_only.csv"], 4, False)),
    ("google_multi.csv", (["google_multi.csv"], 3, False)),
    ("sf_report.csv", (["sf_report.csv"], 2, False)),
    ("repeat_header.csv", (["repeat_header.csv"], 3, False)),
    ("outlook_ja_sjis.csv", (["outlook_ja_sjis.csv"], 2, False)),
]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(("files", "count", "rejectable"), [case for _, case in AFTER], ids=[name for name, _ in AFTER])
def test_nobody_is_lost_and_nobody_is_doubled(
    files: Sequence[str], count: int, rejectable: bool, tmp_path: Path
) -> None:
    all_counts = [imported(name, tmp_path) for name in files]
    rejected = sum(counts["rejected"] for counts in all_counts)
    assert len(stored()) == count or (rejectable and len(stored()) + rejected == count)
    for counts in all_counts:
        assert all(reject.reason for reject in rejects(counts["import_id"]))


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("same_name.csv", ["+34 600 111 111", "+34 600 222 222", "+34 600 333 333", "1970-01-02", "1985-05-06"]),
        ("fatherson.csv", ["111111", "222222", "1950-01-01", "1980-02-02"]),
        ("branches.csv", ["+49 228 111111", "+49 431 222222", "+49 731 333333", "+43 316 444444"]),
        ("google_multi.csv", ["email1@example.com", "email2@example.com", "only@example.com"]),
        ("turkish.csv", ["ali.yildiz@firma.com.tr"]),
    ],
)
def test_every_value_is_kept_somewhere(name: str, values: Sequence[str], tmp_path: Path) -> None:
    counts = imported(name, tmp_path)
    with transaction() as connection:
        changes = connection.scalars(text("SELECT old FROM contact_changes")).all()
    kept = f"{stored()} {rejects(counts['import_id'])} {changes}"
    assert [value for value in values if value not in kept] == []


@pytest.mark.usefixtures("database")
def test_a_second_person_of_a_firm_leaves_the_first_alone(tmp_path: Path) -> None:
    imported("firm_update_1.csv", tmp_path)
    before = stored()
    imported("firm_update_2.csv", tmp_path)
    assert before[0] in stored()
    assert {"Mette", "Lars"} == {contact["first_name"] for contact in stored()}
    assert {"+45 11111111", "+45 22222222"} == {contact["phone"] for contact in stored()}
