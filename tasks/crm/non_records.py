"""Rows below the headings that are no record: repeated headings, lines of dashes, totals, remarks, templates.

Reports and templates have them between and below the records. Each is rejected with its reason, so that it is neither
stored as a person nor lost. Which rows may be one is decided for whole columns; only these are looked at one by one.
"""

import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.headings import Mapping, names_fields, repeats_headings
from tasks.crm.readers.table import Block

_LINE = re.compile(r"[\s\-=_*~+|#.\u2010-\u2015\u2500-\u257f\x00-\x1f\x7f]+")
_NUMBER = re.compile(r"[\s\d.,'%+\-()\u00a0\u202f\u20ac$\u00a3\u00a5]+")
_TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "grand totals", "subtotal", "sub-total", "sum", "count", "average"),
        *("summe", "gesamt", "gesamtsumme", "zwischensumme", "insgesamt", "anzahl"),
        *("total général", "totaux", "sous-total", "somme", "nombre"),
        *("suma", "total general", "totales", "totale", "totale generale", "somma", "subtotale"),
        *("soma", "total geral", "totaal", "eindtotaal", "totalt", "i alt", "yhteensä", "summa"),
        *("razem", "ogółem", "celkem", "spolu", "összesen", "ukupno", "skupaj", "toplam", "genel toplam"),
        *(
            "σύνολο",
            "итого",
            "всего",
            "разом",
            "усього",
            "общо",
            "合計",
            "小計",
            "总计",
            "總計",
            "合计",
            "합계",
            "총계",
        ),
    }
)
_TEMPLATE = frozenset(
    {
        *("required", "optional", "mandatory", "recommended", "conditional", "text", "string", "number", "numeric"),
        *("integer", "decimal", "date", "datetime", "boolean", "yes/no", "picklist", "lookup", "e-mail", "email"),
        *("phone", "url", "varchar", "char", "free text", "single line of text", "multi-line", "unique", "example"),
        *("pflicht", "pflichtfeld", "erforderlich", "zahl", "datum", "beispiel", "freitext"),
        *("obligatoire", "facultatif", "requis", "optionnel", "texte", "nombre", "exemple"),
        *("obligatorio", "requerido", "opcional", "texto", "número", "fecha", "ejemplo", "obbligatorio", "testo"),
    }
)
_LENGTH = re.compile(
    r"(?:max(?:imum)?\.?\s*)?\d+\s*(?:char(?:acter)?s?|zeichen|caract[eè]res?)(?:\s*max\.?)?|n?varchar\(\d+\)"
)
# What a lone cell says below the rows of a report.
_REMARK = re.compile(
    r"\(?\d+ (?:rows?|records?|zeilen|datens[äa]tze|lignes|enregistrements|filas|registros)\b.*|copyright\b.*|©.*|"
    r"confidential\b.*|vertraulich\b.*|confidentiel\b.*|generated (?:by|on|at)\b.*|erstellt (?:von|am)\b.*|"
    r"printed (?:by|on)\b.*|exported (?:by|on|from)\b.*|page \d+.*|seite \d+.*|as of\b.*|"
    r"stand:.*|end of (?:report|list).*|"
    r"(?:grand )?totals?\b.*|source:.*|quelle:.*|legend:?.*|\*+.*|note:.*",
    re.IGNORECASE,
)
FEWEST_COLUMNS = 3  # of a table in which a row with one cell is conspicuous


class NonRecords:
    """Finds the rows of one sheet that are no record."""

    def __init__(self, mapping: Mapping, totals: Collection[int]) -> None:
        """`totals`: rows, as Excel shows them, that sum up a table by the workbook's own word."""
        self._mapping = mapping
        self._totals = totals
        self._other_headings: int | None = None  # the row from which on another list stands
        words = {heading.casefold() for heading in mapping.headings} | _TOTALS | _TEMPLATE
        self._words = pa.array(sorted(words), pa.string())

    def reasons(self, block: Block) -> Iterator[tuple[int, str]]:
        """Index and reason of each row that is no record, ascending."""
        if self._other_headings is not None:
            yield from ((row, self._below_other_headings()) for row in range(len(block)))
            return
        for row in np.flatnonzero(self._conspicuous(block)):
            cells = [column[int(row)].as_py() for column in block.columns]
            number = block.numbers[int(row)].as_py()
            if reason := self._reason(cells, number):
                yield int(row), reason
            elif names_fields(cells):
                self._other_headings = number
                yield int(row), "is a row of other headings: import the list below it by itself"
                yield from ((below, self._below_other_headings()) for below in range(int(row) + 1, len(block)))
                return

    def _below_other_headings(self) -> str:
        return f"stands below other headings in row {self._other_headings}: import that list by itself"

    def _conspicuous(self, block: Block) -> np.ndarray:
        """Of each row, whether it may be no record."""
        first = pc.coalesce(*block.columns)
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(first))
        found = np.asarray(pc.is_in(lower, value_set=self._words))
        found |= np.asarray(pc.fill_null(pc.match_substring_regex(first, r"^[^0-9A-Za-z@\x{80}-\x{10ffff}]+$"), False))
        found |= np.asarray(pc.fill_null(pc.starts_with(first, "\ufeff"), False))
        if len(self._mapping.headings) >= FEWEST_COLUMNS:
            found |= np.sum([np.asarray(pc.is_valid(column)) for column in block.columns], axis=0) == 1
        if self._totals:
            found |= np.isin(np.asarray(block.numbers), list(self._totals))
        return found

    def _reason(self, cells: Sequence[str | None], number: int) -> str | None:
        if number in self._totals:
            return "is the totals row of the table"
        if repeats_headings(cells, self._mapping):
            return "repeats the headings"
        filled = [(column, text.strip()) for column, text in enumerate(cells) if text is not None]
        if len(filled) > 1:
            return _reason_of_several([text.casefold() for _, text in filled])
        return self._reason_of_one(filled[0][1])

    def _reason_of_one(self, text: str) -> str | None:
        if _LINE.fullmatch(text):
            return _NO_TEXT
        if len(self._mapping.headings) < FEWEST_COLUMNS:
            return None
        if _REMARK.fullmatch(text) or text.casefold() in _TOTALS:
            return "is a remark of the report, no record"
        return None


_NO_TEXT = "is a line of dashes or control characters"


def _reason_of_several(texts: Sequence[str]) -> str | None:
    if all(map(_LINE.fullmatch, texts)):
        return _NO_TEXT
    if texts[0].rstrip(":") in _TOTALS and all(map(_NUMBER.fullmatch, texts[1:])):
        return "is a row of totals"
    if all(text.strip("()*") in _TEMPLATE or _LENGTH.fullmatch(text) for text in texts):
        return "describes the columns of a template"
    return None
