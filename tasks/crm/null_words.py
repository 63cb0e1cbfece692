"""Cells in which a program says that there is nothing: "(null)", "<NA>", "NaN". They are blank in every field.

Only what nobody and nothing is called: a bare Null, None, Na, Nan, Blank or Empty may be a name, and stays.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

_BRACKETS = (("(", ")"), ("<", ">"), ("[", "]"), ("{", "}"))
_IN_BRACKETS = (
    *("null", "none", "nan", "n/a", "blank", "empty", "undefined", "unset", "not set", "not provided", "no value"),
    *("missing", "no data"),
    # What the pivot tables of Excel show for blank cells, in its languages.
    *("leer", "vide", "en blanco", "vacío", "vuoto", "vazio", "leeg", "tyhjä", "puste", "prázdné", "üres", "boş"),
    *("пусто", "κενό", "空白"),
)
_CASES = (str.lower, str.upper, str.capitalize, str.title)
_SPELLINGS = {case(word) for word in _IN_BRACKETS for case in _CASES} | {"NaN", "nil", "NIL", "na", "NA"}
_BARE = {"NaN", "nan", "undefined", "Undefined", "UNDEFINED", "#NULL"}
NULL_WORDS = _BARE | {opening + word + closing for opening, closing in _BRACKETS for word in _SPELLINGS}
_VALUES = pa.array(sorted(NULL_WORDS), pa.string())


def without_null_words(columns: Sequence[pa.StringArray]) -> tuple[list[pa.StringArray], dict[int, int]]:
    """The columns with blank cells in place of such words, and how many there were: column -> cells."""
    kept, counts = list(columns), dict[int, int]()
    for index, column in enumerate(columns):
        found = pc.is_in(column, value_set=_VALUES)
        if count := found.true_count:
            kept[index] = pc.if_else(found, None, column)
            counts[index] = count
    return kept, counts
