"""Finds rows that are not records: repeated headings, lines of dashes, totals, remarks, descriptions of columns.

Reports and templates have them between and below the records. Each is rejected with a reason, so that it is neither
stored as a person nor lost. Whole columns decide which rows are candidates; only these are checked one by one.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.cell_kind import looks_like_data
from tasks.crm.headings.column_mapping import Mapping, map_columns, names_fields, repeats_headings
from tasks.crm.headings.error import HeadingsError
from tasks.crm.headings.table import heading_table
from tasks.crm.headings.text import clean_heading, column_letter, is_known, parse_heading
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
            "المجموع",
            "الإجمالي",
            'סה"כ',
            "סה״כ",
            "סך הכל",
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
_SUMMED = frozenset(
    {"count", "sum", "average", "min", "max", "anzahl", "summe", "mittelwert", "nombre", "somme", "suma"}
)
# A total with more words: "Totals:", "Total (2)", "Sum of all", "Total Acme"; its other cells are numbers.
_TOTAL_OF = r"^(?:(?:grand |sub-?)?totals?|sum|summe|(?:zwischen|gesamt)summe|gesamtergebnis|suma|somme|somma)\b"
_TOTAL_BEGINS = re.compile(_TOTAL_OF)
_PLACEHOLDERS = frozenset(
    {"n/a", "na", "none", "null", "nil", "tbd", "tba", "x", "xx", "xxx", "k.a.", "?", "0", "test"}
)
_EXAMPLE = r"^\(?(?:e\.\s?g\.|for example\b|z\.\s?b\.|p\.\s?ex\.|p\.\s?ej\.|examples?:|beispiel:|max(?:imum|\.)?\s*\d)"
_EXAMPLE_BEGINS = re.compile(_EXAMPLE)
# For Arrow. One expression, because each takes as much time as all other checks of a row.
_CONSPICUOUS = rf"{_TOTAL_OF}|{_EXAMPLE}|^[^0-9a-z@\x{{80}}-\x{{10ffff}}]+$"
_LENGTH = re.compile(
    r"(?:max(?:imum)?\.?\s*)?\d+\s*(?:char(?:acter)?s?|zeichen|caract[eè]res?)(?:\s*max\.?)?|n?varchar\(\d+\)"
)
# The only cell of a row below the rows of a report.
_REMARK = re.compile(
    r"\(?\d+ (?:rows?|records?|contacts?|companies|accounts|entries|results|zeilen|datens[äa]tze|kontakte|eintr[äa]ge|"
    r"lignes|enregistrements|filas|registros)\b.*|\(?\d+ row\(s\).*|copyright\b.*|©.*|"
    r"(?:number|total|anzahl|nombre|n[uú]mero) (?:of|der|de) [^:]+: ?\d+|"
    r"(?:printed|exported|generated|created|run date|report date|date|druckdatum|datum|erstellt|gedruckt)\b[^a-z]*\d.*|"
    r"(?:prepared|approved|created|signed) by\b.*|signature\b.*|unterschrift\b.*|continued (?:on|from)\b.*|"
    r"</?(?:eof|end)\b.*|eof|-* ?end(?: of file)? ?-*|completion time:.*|#.*|//.*|--.*|/\*.*|"
    r"confidential\b.*|vertraulich\b.*|confidentiel\b.*|generated (?:by|on|at)\b.*|erstellt (?:von|am)\b.*|"
    r"printed (?:by|on)\b.*|exported (?:by|on|from)\b.*|page \d+.*|seite \d+.*|as of\b.*|"
    r"stand:.*|end of (?:report|list).*|"
    r"(?:grand )?totals?\b.*|legend:?.*|\*+.*|filter(?:ed)?\b.*|.*\breport|"
    r"(?:ende de[rs]|fin d[eu]|fine d\w+|einde van|конец)\b.*|"
    r"[^:\uff1a]{1,40}[:\uff1a](?:\s.*)?|(?:https?://|www\.)\S+",  # a label and its value; a web address
    re.IGNORECASE,
)
MIN_COLUMNS = 3  # of a table in which a row with a single cell is unusual
_BELOW_HEADINGS = 3  # rows below the headings that may number or describe the columns
_PHONE_DIGITS = 6  # digits of a telephone number: such a row is not a row of totals
_MAX_REMARK_LENGTH = 1_000  # characters
_NAMES = frozenset({"first_name", "last_name", "full_name"})
_DESCRIBED = _NAMES | {"organization", "street", "city", "country"}  # fields in which a record has a name


class NonRecords:
    """Finds the rows of one sheet that are not records."""

    def __init__(self, mapping: Mapping, totals: Collection[int]) -> None:
        """`totals`: rows, as Excel shows them, that the workbook declares as totals rows of tables."""
        self._mapping = mapping
        self._totals = totals
        self._other_headings: int | None = None  # the row of other headings: another list begins there
        self._rows = 0  # that were checked
        words = {heading.casefold() for heading in mapping.headings} | _TOTALS | _TEMPLATE | _PLACEHOLDERS
        words |= {f"({word})" for word in _TEMPLATE} | _known_headings()
        self._words = pa.array(sorted(words), pa.string())

    def reasons(self, block: Block) -> Iterator[tuple[int, str]]:
        """Index and reason of each row that is not a record, ascending."""
        if self._other_headings is not None:
            yield from ((row, self._below_other_headings()) for row in range(len(block)))
            return
        found, below_headings = self._candidates(block), max(_BELOW_HEADINGS - self._rows, 0)
        found[:below_headings] = True
        self._rows += len(block)
        for row in np.flatnonzero(found):
            cells = [column[int(row)].as_py() for column in block.columns]
            number = block.numbers[int(row)].as_py()
            if reason := self._reason(cells, number):
                yield int(row), reason
            elif _same_fields(cells, self._mapping):
                yield int(row), "repeats the headings in other words"
            elif not names_fields(cells):
                if row < below_headings and (reason := _about_columns(cells, self._mapping)):
                    yield int(row), reason
            else:
                self._other_headings = number
                yield int(row), "is a row of other headings: import the list below it separately"
                yield from ((below, self._below_other_headings()) for below in range(int(row) + 1, len(block)))
                return

    def _below_other_headings(self) -> str:
        return f"is below other headings in row {self._other_headings}: import that list separately"

    def _candidates(self, block: Block) -> np.ndarray:
        """For each row, whether it must be checked."""
        first = pc.coalesce(*block.columns)
        lower = pc.utf8_lower(pc.utf8_trim_whitespace(first))
        found = np.asarray(pc.is_in(lower, value_set=self._words))
        found |= np.asarray(pc.fill_null(pc.starts_with(first, "\ufeff"), False))
        found |= np.asarray(pc.fill_null(pc.match_substring_regex(lower, _CONSPICUOUS), False))
        if len(self._mapping.headings) >= MIN_COLUMNS:
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
            texts = [text.casefold() for _, text in filled]
            phones = [text for column, text in filled[1:] if self._mapping.fields.get(column) == "phone"]
            reachable = any(sum(map(str.isdigit, phone)) >= _PHONE_DIGITS for phone in phones)
            return _reason_of_several(texts, may_be_total=not reachable)
        return self._reason_of_one(filled[0][1]) if filled else None

    def _reason_of_one(self, text: str) -> str | None:
        if _LINE.fullmatch(text):
            return _NO_TEXT
        if len(self._mapping.headings) < MIN_COLUMNS:
            return None
        if (len(text) <= _MAX_REMARK_LENGTH and _REMARK.fullmatch(text)) or text.casefold() in _TOTALS:
            return "is a remark of the report, not a record"
        if len(text) == 1 and text.lower() != text.upper():
            return "is a single letter, like a section title"
        return None


_NO_TEXT = "is a line of dashes or control characters"


def _same_fields(cells: Sequence[str | None], mapping: Mapping) -> bool:
    """Whether a row holds headings of the same fields, in another language or as API names."""
    if names_fields(cells):
        with suppress(HeadingsError):
            if map_columns(cells).fields == mapping.fields:
                return True
    filled = [(name, text) for column, name in mapping.fields.items() if (text := cells[column])]
    return len(filled) > 1 and all(_is_heading_of(name, text) for name, text in filled)


def _is_heading_of(name: str, text: str) -> bool:
    table = heading_table()
    found = parse_heading(clean_heading(text), table).key
    means = {alias.field for alias in table.in_language.get(found, ())}
    means |= {table.aliases[found].field} if found in table.aliases else set()
    return name in means or (name in _NAMES and "full_name" in means)


def _about_columns(cells: Sequence[str | None], mapping: Mapping) -> str | None:
    """The reason for rejecting a row that numbers or describes the columns; None for another row."""
    texts = [text.strip() for text in cells if text is not None]
    bare = [text.strip("()[]. ").casefold() for text in texts]
    numbers = [str(number) for number in range(1, len(bare) + 1)]
    letters = [column_letter(column).casefold() for column in range(len(bare))]
    if (len(bare) > 1 and bare == numbers) or (len(bare) >= MIN_COLUMNS and bare == letters):
        return "numbers the columns"
    named = [text for column, name in mapping.fields.items() if name in _DESCRIBED and (text := cells[column])]
    if len(named) > 1 and 2 * sum(map(_is_description, named)) > len(named) and not any(map(looks_like_data, texts)):
        return "describes the columns"
    return None


def _is_description(text: str) -> bool:
    """Whether a text describes a column ("Name as in passport"); a name would have more capital letters."""
    words = re.findall(r"[^\W_]+", text)
    return text[1:] == text[1:].lower() and any(is_known(word, heading_table()) for word in [text, *words])


@cache
def _known_headings() -> frozenset[str]:
    """All headings of the table, in lower case."""
    return frozenset(heading.casefold() for row in heading_table().rows for heading in row.headings)


def _reason_of_several(texts: Sequence[str], *, may_be_total: bool) -> str | None:
    if all(map(_LINE.fullmatch, texts)):
        return _NO_TEXT
    names_total = texts[0].rstrip(":") in _TOTALS or _TOTAL_BEGINS.match(texts[0])
    if may_be_total and names_total and all(_NUMBER.fullmatch(text) or text in _SUMMED for text in texts[1:]):
        return "is a row of totals"
    if len(set(texts)) == 1 and _PLACEHOLDERS.issuperset(texts):
        return "holds nothing but placeholders"
    if all(map(_EXAMPLE_BEGINS.match, texts)):
        return "describes the columns of a template"
    if all(text.strip("()*") in _TEMPLATE or _LENGTH.fullmatch(text) for text in texts):
        return "describes the columns of a template"
    return None
