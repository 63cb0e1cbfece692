"""One table in a .zip or .gz is read; and whatever is not read is named for what it is, without showing a cell."""

import bz2
import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from tasks.crm.readers import workbook
from tasks.crm.readers.file_kinds import COMPRESSED
from tasks.crm.readers.workbook import WorkbookError, open_workbook

CSV = "Name,Email\nAnn,a@x.org\n"
ROWS = [["Name", "Email"], ["Ann", "a@x.org"]]


def zipped(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(path: Path) -> list[list[str | None]]:
    with open_workbook(path, path.name) as book:
        return [cells for block in book.blocks(book.sheets[0].name) for _, cells in block.rows()]


def refusal(path: Path) -> str:
    with pytest.raises(WorkbookError) as refused:
        read(path)
    return str(refused.value)


def test_one_table_in_a_zip_is_read(tmp_path: Path) -> None:
    extra: dict[str, bytes | str] = {
        "__MACOSX/._people.csv": b"\0",
        "out/": "",
        ".DS_Store": b"\0",
        "out/~$x.xlsx": b"x",
    }
    path = zipped(tmp_path / "export.zip", {**extra, "out/people.csv": CSV})
    assert read(path) == ROWS
    with open_workbook(path, "export.zip") as book:
        assert [info.name for info in book.sheets] == ["people"]
    book = openpyxl.Workbook()
    for row in ROWS:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    assert read(zipped(tmp_path / "export2.zip", {"people.xlsx": stream.getvalue()})) == ROWS


def test_a_gz_is_read_and_named_by_what_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "people.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))
    assert read(path) == ROWS
    with open_workbook(path, path.name) as book:
        assert [info.name for info in book.sheets] == ["people"]
    path.write_bytes(gzip.compress(CSV.encode())[:-9])
    assert "damaged" in refusal(path)


def test_several_files_are_listed_and_none_is_chosen(tmp_path: Path) -> None:
    message = refusal(zipped(tmp_path / "a.zip", {"one.csv": CSV, "two.csv": CSV}))
    assert "2 files (one.csv, two.csv)" in message
    assert "nothing in it" in refusal(zipped(tmp_path / "a.zip", {"__MACOSX/x": b""}))
    assert "and 20 more" in refusal(zipped(tmp_path / "a.zip", {f"{n}.csv": CSV for n in range(30)}))


def test_an_archive_in_an_archive_is_not_unpacked(tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"a.csv": CSV}).read_bytes()
    assert COMPRESSED in refusal(zipped(tmp_path / "a.zip", {"inner.zip": inner}))


def test_unpacking_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "_LARGEST_MEMBER", 1_000_000)
    large = b"a,b\n" + b"1,2\n" * 400_000
    assert "would unpack to" in refusal(zipped(tmp_path / "a.zip", {"a.csv": large}))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(large))
    assert "would unpack to" in refusal(path)
    lying = zipped(tmp_path / "b.zip", {"a.csv": large})
    lying.write_bytes(lying.read_bytes().replace(len(large).to_bytes(4, "little"), (1_000).to_bytes(4, "little")))
    assert "b.zip" in refusal(lying)


def test_a_locked_zip_is_reported(tmp_path: Path) -> None:
    content = bytearray(zipped(tmp_path / "a.zip", {"a.csv": CSV}).read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert "password" in refusal(tmp_path / "a.zip")


NAMES = ("Ann", "Lee", "+49", "ann@x.org")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n<td>Ann", "is a web archive (MHTML)"),
        (b"From: <Saved by Blink>\r\nSubject: Ann Lee\r\n", "is a web archive (MHTML)"),
        (b'ID;PWXL;N;E\r\nC;Y1;X1;K"Ann"\r\n', "is a SYLK file (.slk)"),
        (b'{"first": "Ann", "last": "Lee"}\n{"first": "Bob"}\n', "is JSON"),
        (b'[\n  {"name": "Ann Lee"}\n]', "is JSON"),
        (b'\xef\xbb\xbf[["Ann", "Lee"]]', "is JSON"),
        (b"%PDF-1.7 Ann", "is a PDF"),
        (b"SQLite format 3\0Ann", "is a database"),
        (b"\x00\x01\x00\x00Standard ACE DB\0Ann", "is a database"),
        (b"PAR1\x15\x04Ann", "is a Parquet, Arrow or Avro file"),
        (b"\x89PNG\r\n\x1a\nAnn", "is a picture"),
        (b"\xff\xd8\xff\xe0Ann", "is a picture"),
        (b"BEGIN:VCALENDAR\r\nSUMMARY:Ann\r\n", "is a calendar"),
        (b"{\\rtf1 Ann}", "is a document"),
        (b"-- MySQL dump 10\nINSERT INTO a VALUES ('Ann');", "is a script of a database"),
        (b"dn: cn=Ann Lee\nmail: ann@x.org\n", "is a directory export (LDIF)"),
        (bz2.compress(b"Ann"), "is a compressed file"),
        (b"x" * 257 + b"ustar\x0000Ann", "is a compressed file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("name", ["book.xls", "people.csv"])
def test_what_is_not_read_is_named_for_what_it_is(tmp_path: Path, content: bytes, says: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    message = refusal(path)
    assert message.startswith(f"{name} {says}")
    assert ": " in message  # what to do
    assert not any(each in message for each in NAMES)


@pytest.mark.parametrize(
    "first", ["[Name],[City]", "[1],x", "{a};b", "<none>,x", "< 5,y", "dn,mail", "ID,P", "Name <x>,y"]
)
def test_a_table_that_begins_oddly_is_still_a_table(tmp_path: Path, first: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{first}\n1,2\n")
    assert len(read(path)) == 2
