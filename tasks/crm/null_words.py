"""Cells that say that there is nothing: "(null)", "n/a", a dash. They are blank, so that nobody is called so.

What nobody and nothing is called is blank in every field. A bare Null, None or Na may be somebody's name: it is blank
only in fields that hold no name, a bare None or NULL also as an organisation or a city.
"""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.contact import Contact

_BRACKETS = (("(", ")"), ("<", ">"), ("[", "]"), ("{", "}"))
_IN_BRACKETS = (
    *("null", "none", "nan", "n/a", "blank", "empty", "undefined", "unset", "not set", "not provided", "no value"),
    *("missing", "no data"),
    # What the pivot tables of Excel show for blank cells, in its languages.
    *("leer", "vide", "en blanco", "vacío", "vuoto", "vazio", "leeg", "tyhjä", "puste", "prázdné", "üres", "boş"),
    *("пусто", "κενό", "空白"),
)
_CASES = (str.lower, str.upper, str.capitalize, str.title)


def _spelled(*words: str) -> set[str]:
    return {case(word) for word in words for case in _CASES}


_SPELLINGS = _spelled(*_IN_BRACKETS) | {"NaN", "nil", "NIL", "na", "NA"}
_BARE = {"NaN", "nan", "undefined", "Undefined", "UNDEFINED", "#NULL"}
NULL_WORDS = _BARE | {opening + word + closing for opening, closing in _BRACKETS for word in _SPELLINGS}

# What of a field, and not of a column that is kept beside the fields, says nothing.
_NO_NAME = {"NaT", "?", "k.A.", "k. A.", "keine Angabe", "keine Angaben"} | _spelled(
    *("n/a", "n.a.", "n.a", "n/d", "n.d.", "k.a.", "k.a", "k. a.", "--none--", "-none-", "- none -", "н/д"),
    *("not available", "not applicable", "not provided", "not specified", "not given", "not set", "no data"),
    *("keine angabe", "keine angaben", "nicht angegeben", "nicht vorhanden", "nicht bekannt", "nicht verfügbar"),
    *("non renseigné", "non disponible", "sans objet", "no disponible", "no aplica", "non disponibile", "нет данных"),
)
_NO_THING = {"null", "NULL"} | _spelled(
    *("none", "keine", "keiner", "aucun", "aucune", "néant", "ninguno", "ninguna", "nessuno", "nessuna", "nenhum"),
    *(
        "nenhuma",
        "нет",
        "なし",
        "無し",
        "无",
        "無",
        "없음",
        "unknown",
        "unbekannt",
        "inconnu",
        "inconnue",
        "desconocido",
    ),
    *("desconocida", "desconhecido", "sconosciuto", "onbekend", "okänd", "ukendt", "ukjent", "nieznany", "неизвестно"),
)
_NO_VALUE = {"NAN"} | _spelled(
    "null", "nil", "blank", "empty", "missing", "kein", "geen", "ingen", "brak", "tbd", "tba"
)
_NO_CONTACT = _spelled("no", "nein", "non", "x", "xx", "xxx") | _spelled(
    *("no email", "no e-mail", "keine e-mail", "keine email", "no phone", "no number", "kein telefon", "keine nummer")
)
_NO_TEXT = {mark * times for mark in "-‐‑‒–—―−_.…·,;:/\\" for times in range(1, 13)} | {"- -", "- - -", "-/-", "./."}
_NAMES = ("first_name", "last_name", "full_name")


def _of(field: str) -> set[str]:
    """The words that say of this field that it is blank."""
    words = NULL_WORDS | _NO_NAME | _NO_TEXT
    if field in _NAMES:
        return words
    words |= _NO_THING
    if field in {"organization", "city"}:
        return words
    words |= _NO_VALUE | (_spelled("na") if field != "country" else set())  # NA is Namibia
    return words | (_NO_CONTACT if field in {"email", "phone"} else set())


def _values(words: Iterable[str]) -> pa.StringArray:
    return pa.array(sorted(words), pa.string())


_OF_FIELD = {field: _values(_of(field)) for field in (*Contact.model_fields, "full_name")}
_OF_OTHERS = _values(NULL_WORDS)


def without_null_words(
    columns: Sequence[pa.StringArray], fields: Mapping[int, str]
) -> tuple[list[pa.StringArray], dict[int, int]]:
    """The columns with blank cells in place of such words, and how many there were: column -> cells.

    `fields`: column -> field of a contact or "full_name".
    """
    kept, counts = list(columns), dict[int, int]()
    for index, column in enumerate(columns):
        words = _OF_FIELD[fields[index]] if index in fields else _OF_OTHERS
        found = pc.is_in(_trimmed(column), value_set=words)
        if count := found.true_count:
            kept[index] = pc.if_else(found, None, column)
            counts[index] = count
    return kept, counts


def _trimmed(column: pa.StringArray) -> pa.StringArray:
    blank = pc.or_(pc.starts_with(column, " "), pc.ends_with(column, " "))
    return pc.utf8_trim_whitespace(column) if pc.any(blank).as_py() else column
