"""Sets of missions as tables: which missions two sets share, which fields differ, which share a value.

`diff` and `plausibility` decide what these tables mean. Both import this module in their functions, not at their top:
pandas would make the import of the flow a fifth slower.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from tasks.mofa.comparison import comparable
from tasks.mofa.embassy import COMPARED, Embassy


def compared(before: Mapping[str, Embassy], after: Mapping[str, Embassy]) -> pd.DataFrame:
    """Both sets side by side, a row for each key, in order of the keys.

    Columns: `_merge`: "left_only" (in `before` alone), "right_only" (in `after` alone) or "both"; for each compared
    field F: F_old and F_new, texts or missing; F, whether they differ by more than spelling.
    """
    sets = _table(before, COMPARED).merge(
        _table(after, COMPARED),
        how="outer",
        left_index=True,
        right_index=True,
        suffixes=("_old", "_new"),
        indicator=True,
    )
    differs = {
        field: _comparable(sets[f"{field}_old"], field) != _comparable(sets[f"{field}_new"], field)
        for field in COMPARED
    }
    return sets.assign(**differs)


def differences_by_key(sets: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """(key, field) of each field that differs, in rows of `compared`."""
    differs = sets[list(COMPARED)].melt(ignore_index=False, var_name="field", value_name="differs")
    yield from differs.loc[differs["differs"], "field"].items()


def shared_values(
    old: Mapping[str, Embassy],
    new: Mapping[str, Embassy],
    fields: Sequence[str],
    limit: int,
    others: Iterable[Embassy] = (),
) -> pd.DataFrame:
    """Pairs of missions, one of each set, that share values: old, new (keys) and agreed (fields with the same value).

    A value that more than `limit` missions of one set have counts for none of them, nor does one that any of `others`
    has.
    """
    values = [_values(missions, fields, side, limit) for missions, side in ((old, "old"), (new, "new"))]
    pairs = values[0].merge(values[1], on=["field", "value"])
    held = {(field, comparable(field, getattr(each, field))) for each in others for field in fields}
    free = [(field, value) not in held for field, value in zip(pairs["field"], pairs["value"], strict=True)]
    pairs = pairs[pd.Series(free, index=pairs.index, dtype=bool)]
    return pairs.groupby(["old", "new"], as_index=False).size().rename(columns={"size": "agreed"})


def _values(missions: Mapping[str, Embassy], fields: Sequence[str], name: str, limit: int) -> pd.DataFrame:
    """The values that tell missions apart, compared: field, value and the key of the mission as `name`."""
    table = _table(missions, fields)
    values = table.apply(lambda texts: _comparable(texts, texts.name)).rename_axis(name).reset_index()
    values = values.melt(id_vars=name, var_name="field")
    values = values[values["value"] != ""]
    return values[values.groupby(["field", "value"])[name].transform("size") <= limit]


def _table(missions: Mapping[str, Embassy], fields: Sequence[str]) -> pd.DataFrame:
    """A row for each mission, by its key, and a column for each of `fields`; a blank is a missing value."""
    columns = {field: [getattr(each, field) for each in missions.values()] for field in fields}
    return pd.DataFrame(columns, index=pd.Index(list(missions), dtype="str"), dtype="str")


def _comparable(texts: pd.Series, field: str) -> pd.Series:
    """The texts of a field as they are compared, "" for a missing one; each different text is normalised once."""
    texts = texts.fillna("")
    return texts.map({text: comparable(field, text) for text in texts.unique()}).astype("str")
