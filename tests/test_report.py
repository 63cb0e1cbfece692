"""The report as people see it: whatever stands in headings and cells is text there and nothing else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from tasks.crm.report import ImportReport, markdown, safe

BOOKS = {"rows": 3, "inserted": 1, "updated": 0, "unchanged": 0, "duplicate": 1, "rejected": 1}
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![](https://example.org/pixel.png)",
    "a | b",
    "# heading",
    "```\ncode",
    "line\none",
    "line\u2028two",
    "*bold* _it_ ~~no~~",
    "&lt;b&gt;",
)


def report(text: str) -> ImportReport:
    return ImportReport(
        import_id=7, workbook=f"/in/{text}", sha256="0" * 64, sheet=text, heading_row=1, preview=False, **BOOKS,
        fields={"full_name": text}, extra=[text], filled={"full_name": 1, text: 1, "last_name": 1},
        reject_reasons=[(text, text, 1)],
        duplicates=[{"sheet": text, "row": 2, "of_sheet": text, "of_row": 3, "differs": ["email"]}],
        shared_emails=[(text, 2)],
    )  # fmt: skip


PLAIN = markdown(report("plain"))


@given(st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_text_of_a_workbook_becomes_markup_or_a_line_or_a_cell_of_its_own(text: str) -> None:
    shown = markdown(report(text))
    assert "<" not in shown
    assert len(shown.splitlines()) == len(PLAIN.splitlines())
    for line, plain in zip(shown.splitlines(), PLAIN.splitlines(), strict=True):
        if plain.startswith("|"):
            assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == plain.count("|")
        assert not re.search(r"(?<!\\)(?:\\\\)*\]\(", line)


def test_what_is_too_long_for_a_line_is_cut() -> None:
    assert len(safe("x" * 10_000)) == 200
