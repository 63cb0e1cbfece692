"""Cells that stand in for a value: "TBC" or "-" where a name belongs, and the marks that repeat the cell above.

A placeholder is blank in the columns that say who a row is; elsewhere the word may mean something. A ditto mark is a
fault of its cell, because what it repeats depends on the order of the rows.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DITTO_REASON = "is a ditto mark: write out what it repeats"
_WHO = frozenset({"organization", "first_name", "last_name", "full_name"})
_CASES = (str.lower, str.upper, str.capitalize, str.title)


def _spellings(words: Iterable[str]) -> pa.StringArray:
    return pa.array(sorted({case(word) for word in words for case in (*_CASES, str)}), pa.string())


# Nobody's name: "None", "Nan", "Guest" and "Na" are somebody's.
_NOBODY = _spellings(
    (
        *(
            "0",
            "-",
            "--",
            "---",
            "–",
            "—",
            ".",
            "..",
            "...",
            "…",
            "?",
            "??",
            "???",
            "*",
            "_",
            "/",
            "+1",
            "+2",
            "plus one",
        ),
        *("n/a", "n.a.", "n. a.", "n.n.", "n. n.", "k.A.", "k. A.", "tbc", "tba", "tbd", "t.b.c.", "t.b.a.", "t.b.d."),
        *("unknown", "unbekannt", "inconnu", "desconocido", "desconhecido", "sconosciuto", "onbekend", "неизвестно"),
        *("not provided", "not available", "not applicable", "to be confirmed", "to be announced"),
        *("(deleted)", "[deleted]", "<deleted>", "(unknown)", "[unknown]", "(gelöscht)", "(unbekannt)"),
    )
)
_DITTO = _spellings(('"', "''", '""', "“", "”", "„", "〃", "″", "dto", "dto.", "ditto", "s.o.", "s. o.", "idem", "do."))


def without_placeholders(
    columns: Sequence[pa.StringArray], fields: Mapping[int, str]
) -> tuple[list[pa.StringArray], dict[int, int]]:
    """The columns with blank cells in place of names that are nobody's, and how many there were: column -> cells."""
    kept, counts = list(columns), dict[int, int]()
    for index, name in fields.items():
        if name in _WHO and (count := (found := pc.is_in(columns[index], value_set=_NOBODY)).true_count):
            kept[index] = pc.if_else(found, None, columns[index])
            counts[index] = count
    return kept, counts


def ditto_marks(column: pa.StringArray) -> list[tuple[int, str]]:
    """The rows whose cell repeats the one above by a mark, with the reason."""
    found = pc.is_in(column, value_set=_DITTO)
    return [(int(row), DITTO_REASON) for row in np.flatnonzero(found)] if found.true_count else []
