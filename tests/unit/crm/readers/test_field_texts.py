"""Text files that real systems and people made, kept beside the project: each as a person reads it, or rejected."""

import pytest
from support.project import SHARED

from tasks.crm.readers.workbook import WorkbookError, open_workbook

FIELD = SHARED / "field" / "import"
pytestmark = pytest.mark.skipif(not FIELD.exists(), reason="the files lie beside the project, where there are any")


def read(name: str) -> tuple[list[list[str]], list[int]]:
    """The cells of the rows that are taken, without blank ones at the end, and the numbers of those that are not."""
    taken, rejected = list[list[str]](), list[int]()
    with open_workbook(FIELD / name, name) as book:
        for block in book.blocks(book.sheets[0].name):
            wrong = {fault.row for fault in block.faults}
            for at, (number, cells) in enumerate(block.rows()):
                if at in wrong:
                    rejected.append(number)
                else:
                    filled = [(cell or "").strip() for cell in cells]
                    taken.append(filled[: max((n for n, cell in enumerate(filled, 1) if cell), default=0)])
    return taken, rejected


@pytest.mark.parametrize(
    ("name", "rows", "rejected"),
    [
        ("quote_swallow.csv", 2, [2, 4]),
        ("quote_inner.csv", 1, [2, 3]),
        ("quote_backslash.csv", 2, []),
        ("space_quote.csv", 2, []),
        ("unquoted_comma2.csv", 1, [2]),
        ("unquoted_newline.csv", 2, [3]),
        ("bom_quote.csv", 1, []),
        ("smart_quotes.csv", 1, []),
        ("concat_bom.csv", 3, []),  # of them one is the headings again
        ("ctrlz.csv", 2, []),
        ("sqlcmd2.csv", 4, [7]),
        ("google_multi.csv", 3, []),
        ("sf_report.csv", 2, [5, 7, 8, 9, 10, 11]),
        ("contacts.vcf", 2, []),
        ("html16.xls", 1, []),
        ("div_html.xls", 1, []),
    ],
)
def test_rows_are_taken_or_rejected_with_their_number(name: str, rows: int, rejected: list[int]) -> None:
    taken, numbers = read(name)
    assert (len(taken) - 1, numbers) == (rows, rejected)


def test_of_five_hundred_people_only_the_broken_rows_are_missing() -> None:
    taken, rejected = read("quote_swallow_500.csv")
    assert len(taken) + len(rejected) == 501
    assert 0 < len(rejected) < 5


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("quote_backslash.csv", ['The "Big" Shop, Ltd', "Bonn", "Bob", "Ulm"]),
        ("space_quote.csv", ["Acme, Inc", "Bonn", "DE", "Beta", "Ulm"]),
        ("bom_quote.csv", ["Company, legal", "City", "Acme, Inc", "Bonn"]),
        ("smart_quotes.csv", ["First Name", "Ann", "Lee", "Acme, Inc"]),
        ("slovene_cp1250.csv", ["Kovačič", "Čebelarstvo Žagar", "Črnuče", "Ančka", "Šušteršič", "Kočevje"]),
        ("russian_cp1251.csv", ["Петров", "Иван", "ООО Ромашка", "Анна", "Сидорова", "Заря"]),
        ("koi8.csv", ["Петров", "Иван"]),
        ("gbk.csv", ["王", "小明", "北京公司"]),
        ("greek_1253.csv", ["Γιώργος", "Παπαδόπουλος"]),
        ("hebrew_1255.csv", ["דוד", "כהן"]),
        ("euckr.csv", ["김", "민준"]),
        ("turkish_1254.csv", ["Ayşe", "Yıldız", "Işık Şirketi", "İbrahim", "Çağlar", "Güneş"]),
        ("mac_roman.csv", ["Jürgen", "Müller", "Größe GmbH", "Zoë", "Strauß", "Café Änderung"]),
        ("outlook_ja_sjis.csv", ["山田", "太郎", "鈴木", "花子"]),
        ("formula_text.csv", ["004930123456", "01067", "004930999888", "04109"]),
        ("apostrophe.csv", ["+49 30 123456", "=Equal GmbH", "bob@x.org", "0049301234"]),
        ("float_ids.csv", ["1067", "4930123456", "1001"]),
        ("entities.csv", ["O'Brien", "M&M Ltd", "Jürgen", "Müller", "Größe <GmbH>"]),
        ("contacts.vcf", ["Ann", "Lee", "Acme", "+49 170 111111", "ann@x.org", "Bob", "Ray"]),
    ],
)
def test_cells_are_what_a_person_reads(name: str, cells: list[str]) -> None:
    found = {cell for row in read(name)[0] for cell in row}
    assert not set(cells) - found


def test_null_of_mysql_is_blank() -> None:
    assert not any("\\N" in row for row in read("mysql_null.tsv")[0])
    assert ["Bob", "Ray", "", "Beta"] in read("mysql_null.tsv")[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mixed_enc.csv", "mixes UTF-8 "),
        ("ufffd.csv", "lost 2 letters "),
        ("contacts.ndjson", "is JSON"),
        ("mhtml.xls", "is a web archive"),
        ("book.numbers", "is an Apple Numbers document"),
    ],
)
def test_the_rest_is_refused_for_what_it_is(name: str, says: str) -> None:
    with pytest.raises(WorkbookError) as refused:
        read(name)
    assert str(refused.value).startswith(f"{name} {says}")
    assert not any(secret in str(refused.value) for secret in ("Ann", "Lee", "rgen", "+49", "Nú"))
