"""Words for "no value", such as "(null)", "n/a", a dash or "TBC": their cells are blank.

A word that is never a name is blank in every field. A bare Null, None or Na may be a person's name: it is blank only in
fields that hold no names; a bare None or NULL also as an organisation or a city.

A ditto mark, which repeats the cell above, is a fault: what it repeats depends on the order of the rows.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DITTO_REASON = "is a ditto mark: write out what it repeats"
_CASES = (str, str.lower, str.upper, str.capitalize, str.title)


def _words(*lines: str) -> set[str]:
    """The words between commas, in the usual cases."""
    return {case(word) for line in lines for word in line.split(", ") for case in _CASES}


_IN_BRACKETS = _words(
    "null, none, nil, NaN, na, n/a, blank, empty, undefined, unset, not set, not provided, no value, missing, no data",
    "deleted, gelöscht, unknown, unbekannt",
    # What the pivot tables of Excel show for blank cells, in its languages.
    "leer, vide, en blanco, vacío, vuoto, vazio, leeg, tyhjä, puste, prázdné, üres, boş, пусто, κενό, 空白",
)
NULL_WORDS = {"NaN", "nan", "#NULL"} | _words("undefined")
NULL_WORDS |= {begin + word + end for begin, end in ("()", "<>", "[]", "{}") for word in _IN_BRACKETS}

# No value in a field; in a column that is kept in `extra` it may mean something.
_MARKS = {mark * times for mark in "-‐‑‒–—―−_.…·,;:/" for times in range(1, 13)}
_NO_NAME = _MARKS | _words(
    "- -, - - -, -/-, ./., ?, ??, ???, *, NaT, --none--, -none-, - none -, n/a, n.a., n.a, n. a., n/d, n.d., н/д",
    "not available, not applicable, not provided, not specified, not given, not set, no data, нет данных",
    "k.A., k.A, k. A., keine Angabe, keine Angaben, nicht angegeben, nicht vorhanden, nicht bekannt, nicht verfügbar",
    "non renseigné, non disponible, sans objet, no disponible, no aplica, non disponibile",
)
_NOBODY = _words(
    "0, +1, +2, plus one, n.n., n. n., tbc, tba, tbd, t.b.c., t.b.a., t.b.d., to be confirmed, to be announced",
    "unknown, unbekannt, inconnu, inconnue, desconocido, desconocida, desconhecido, sconosciuto, onbekend, okänd",
    "ukendt, ukjent, nieznany, неизвестно",
)
_NO_THING = {"null", "NULL"} | _words(
    "none, keine, keiner, aucun, aucune, néant, ninguno, ninguna, nessuno, nessuna, nenhum, nenhuma, нет",
    "なし, 無し, 无, 無, 없음",
)
_NO_VALUE = {"NAN"} | _words("null, nil, blank, empty, missing, kein, geen, ingen, brak, tbc, tbd, tba")
_NO_CONTACT = _words(
    "no, nein, non, x, xx, xxx, no email, no e-mail, no phone, no number",
    "keine E-Mail, keine Email, kein Telefon, keine Nummer",
)
_UNKNOWN = {word for word in _NOBODY if word.isalpha()} - _words("tbc, tba, tbd")
_PEOPLE = {"first_name", "last_name", "full_name"}
_DITTO = {'"', "''", '""', "“", "”", "„", "〃", "″"} | _words("dto, dto., ditto, s.o., s. o., idem, do.")


def _of(field: str) -> set[str]:
    """The words for "no value" in this field."""
    words = NULL_WORDS | _NO_NAME
    if field in _PEOPLE:
        return words | _NOBODY
    words |= _NO_THING | _UNKNOWN
    if field == "organization":
        return words | _NOBODY
    if field == "city":
        return words
    words |= _NO_VALUE | (_words("na") if field != "country" else set())  # NA is Namibia
    return words | (_NO_CONTACT if field in {"email", "phone"} else set())


@cache
def _value_set(field: str | None) -> pa.StringArray:
    """The words for "no value" in a field; None: in a column that is kept in `extra`."""
    return pa.array(sorted(_of(field) if field else NULL_WORDS), pa.string())


@cache
def _ditto_set() -> pa.StringArray:
    return pa.array(sorted(_DITTO), pa.string())


def without_null_words(
    columns: Sequence[pa.StringArray], fields: Mapping[int, str]
) -> tuple[list[pa.StringArray], dict[int, int]]:
    """The columns with blank cells in place of words for "no value", and how many these were: column -> cells.

    `fields`: column -> field of a contact or "full_name".
    """
    kept, counts = list(columns), dict[int, int]()
    for index, column in enumerate(columns):
        found = pc.is_in(_trimmed(column), value_set=_value_set(fields.get(index)))
        if count := found.true_count:
            kept[index] = pc.if_else(found, None, column)
            counts[index] = count
    return kept, counts


def ditto_marks(column: pa.StringArray) -> list[tuple[int, str]]:
    """The rows whose cell is a ditto mark, with the reason."""
    found = pc.is_in(column, value_set=_ditto_set())
    return [(int(row), DITTO_REASON) for row in np.flatnonzero(found)] if found.true_count else []


def _trimmed(column: pa.StringArray) -> pa.StringArray:
    """The column without whitespace and commas at the ends of its cells. Names are stored without them, too."""
    at_ends = [ends(column, mark) for ends in (pc.starts_with, pc.ends_with) for mark in " ,"]
    if not any(pc.any(found).as_py() for found in at_ends):
        return column
    trimmed = pc.utf8_trim(pc.utf8_trim_whitespace(column), " ,")
    return pc.if_else(pc.equal(trimmed, ""), column, trimmed)
