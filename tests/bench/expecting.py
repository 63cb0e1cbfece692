"""How many people a workbook of the bench has, counted from its rows by plain Python and not by any contender.

By one of two rules, as the contenders have them (contend.py): "key" merges all rows of one key; "checks" first rejects
the faulty ones. The key is e-mail and name, or, without an e-mail, organisation and name; case and blanks do not
matter.
"""

from functools import lru_cache

from loaded import Expected, Rules
from make_workbook import rows


@lru_cache
def expected(count: int, rules: Rules, change: float = 0.0) -> Expected:
    """What has to be in the database after the workbook of `count` rows, of which `change` (0 to 1) are changed.

    After the changed workbook a contender has a changed note for all whose every row is changed, and at most for those
    of whom one row is; a tenth fewer are enough, because contenders may reject a row that is counted here.
    """
    if rules == "own" and not change:
        return Expected(count)
    all_changed: dict[str, bool] = {}
    changed_rows = 0
    for row in rows(count, change=change):
        if rules == "checks" and _faulty(row):
            continue
        changed = str(row[10] or "").startswith("changed note ")
        changed_rows += changed
        key = _key(row)
        all_changed[key] = all_changed.get(key, True) and changed
    people = None if rules == "own" else len(all_changed)
    if not change:
        return Expected(count, people)
    return Expected(count, people, (sum(all_changed.values()) * 9 // 10, changed_rows))


def _faulty(row: list[object]) -> bool:
    _, first, last, _, email, phone, *_, day = row
    return (
        (email is not None and str(email).count("@") != 1)
        or (phone is not None and sum(map(str.isdigit, str(phone))) < 3)
        or (isinstance(day, str) and day.count("/") != 2)
        or (first is not None and last is None)
    )


def _key(row: list[object]) -> str:
    organization, first, last, _, email = row[:5]
    parts = (str(part or "").strip().lower() for part in (email or organization, first, last))
    return "\x1f".join(parts)
