"""Applies the rules of a contact to whole columns.

A rule is a Python function of one text (see `contact.py`). It is called once for each distinct text of a column. It is
not called for texts that it would return unchanged if Arrow can recognise them (`_UNCHANGED`): most cells of most
workbooks. This is only an optimisation: without it the results are the same, and take more time.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.crm.contact import Contact
from tasks.crm.rules.email_address import clean_email
from tasks.crm.rules.external_ids import clean_external_id
from tasks.crm.rules.phone_number import clean_phone
from tasks.crm.rules.texts import clean_full_name, clean_line, clean_name, clean_note, fold

Rule = Callable[[str | None], Any]

# Field -> its rule, from the model.
RULES: dict[str, Rule] = {name: field.metadata[0].func for name, field in Contact.model_fields.items()}

_PLAIN_LENGTH = 200  # bytes; the rule decides about longer texts
# Printable ASCII and letters that normalisation does not change: Greek, Cyrillic, Hebrew, Arabic, Japanese, Chinese,
# Korean; and Latin letters with an accent, but no two together, which can be text in the wrong encoding.
_PLAIN_LETTERS = r"^(?:[À-ÖØ-öø-ſ]?[ -~Α-ΡΣ-ώА-яא-תء-غف-يぁ-ゖァ-ヺー一-鿋가-힣])*[À-ÖØ-öø-ſ]?$"
_PLAIN_EMAIL = r"^[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9][a-z0-9-]*\.)+[a-z]{2,}$"
_PLAIN_LOCAL_PART = 64
_PLAIN_ID = (  # a number, an id of Salesforce, a GUID
    r"^(?:[1-9][0-9]{0,29}|00[1-9A-Za-z][0-9A-Za-z]{12}(?:[0-9A-Za-z]{3})?"
    r"|[1-9a-f][0-9a-f]{7}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$"
)
# May be a date, have lost a letter, hold an address, or have a comma at an end. (RE2 needs one pass for all of them.)
_CONSPICUOUS_NAME = r"^[0-9]{4}-|[?<]|^,|,$"
_PLAIN_PHONE = r"^\+?[0-9](?: ?[0-9]){2,}$"


class Cleaned(NamedTuple):
    """A column after its rule."""

    values: list[Any] | pa.Array  # null where the cell is blank or faulty
    faults: list[tuple[int, str]]  # row (index) and reason, ascending


def clean(rule: Rule, column: pa.StringArray) -> Cleaned:
    """The column with the rule applied to each value.

    Args:
        rule: takes and returns a text, as those of `contact.py`.
        column: texts; null for a blank cell.
    """
    undecided = _undecided(rule, column)
    rows = np.flatnonzero(undecided)
    if not len(rows):
        return Cleaned(column, [])
    results, distinct, faults = _results(rule, column.take(pa.array(rows)))
    values = pa.array(results, pa.string()).take(distinct)
    return Cleaned(pc.replace_with_mask(column, pa.array(undecided), values), _placed(faults, distinct, rows))


def evaluate(rule: Rule, column: pa.StringArray) -> Cleaned:
    """The column with a rule applied whose values are not texts, as a list of Python objects."""
    results, distinct, faults = _results(rule, column)
    values = [None if index is None else results[index] for index in distinct.to_pylist()]
    return Cleaned(values, _placed(faults, distinct, np.arange(len(column))))


def _results(rule: Rule, column: pa.StringArray) -> tuple[list[Any], pa.Int32Array, dict[int, str]]:
    """The results for the distinct texts, the index of the result of each row, and index -> reason of the faults."""
    encoded = column.dictionary_encode()
    results: list[Any] = []
    faults: dict[int, str] = {}
    for index, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            results.append(rule(text))
        except ValueError as error:
            results.append(None)
            faults[index] = str(error)
    return results, encoded.indices, faults


def _placed(faults: Mapping[int, str], distinct: pa.Int32Array, rows: np.ndarray[Any, Any]) -> list[tuple[int, str]]:
    if not faults:
        return []
    faulty = pc.is_in(distinct, value_set=pa.array(list(faults), distinct.type))
    indices = distinct.filter(faulty).to_pylist()
    return [(row, faults[index]) for row, index in zip(rows[faulty].tolist(), indices, strict=True)]


# ---------------------------------------------------------------------- texts that a rule returns unchanged


def _undecided(rule: Rule, column: pa.StringArray) -> np.ndarray[Any, Any]:
    """For each row, whether the rule must be called."""
    unchanged = _UNCHANGED.get(rule)
    if unchanged is None:
        return np.asarray(column.is_valid())
    return np.asarray(pc.invert(unchanged(column)).fill_null(False))


def _is_plain(column: pa.StringArray) -> pa.BooleanArray:
    """Whether a text has only printable ASCII and plain letters, single blanks inside, and is not empty or long."""
    is_ascii = pc.string_is_ascii(column)
    plain = pc.and_(is_ascii, pc.ascii_is_printable(column))
    if pc.all(is_ascii).as_py() is False:
        plain = pc.or_(plain, pc.match_substring_regex(column, _PLAIN_LETTERS))
    for blank in (
        pc.starts_with(column, " "),
        pc.ends_with(column, " "),
        pc.match_substring(column, "  "),
        pc.greater(pc.binary_length(column), _PLAIN_LENGTH),
        pc.equal(column, ""),
        pc.starts_with(column, "#"),  # may be an error of a cell
        pc.starts_with(column, "Err:"),
        pc.ends_with(column, "..."),  # Loading...
    ):
        plain = pc.and_not(plain, blank)
    return plain


def _is_plain_name(column: pa.StringArray) -> pa.BooleanArray:
    return pc.and_not(_is_plain(column), pc.match_substring_regex(column, _CONSPICUOUS_NAME))


def _is_plain_full_name(column: pa.StringArray) -> pa.BooleanArray:
    return pc.and_not(_is_plain_name(column), pc.match_substring(column, ";"))


def _is_plain_email(column: pa.StringArray) -> pa.BooleanArray:
    plain = pc.match_substring_regex(column, _PLAIN_EMAIL)
    short = pc.less_equal(pc.find_substring(column, "@"), _PLAIN_LOCAL_PART)
    return pc.and_(pc.and_(plain, short), pc.less_equal(pc.binary_length(column), _PLAIN_LENGTH))


def _is_plain_phone(column: pa.StringArray) -> pa.BooleanArray:
    return pc.and_(
        pc.match_substring_regex(column, _PLAIN_PHONE), pc.less_equal(pc.binary_length(column), _PLAIN_LENGTH)
    )


def _is_plain_id(column: pa.StringArray) -> pa.BooleanArray:
    return pc.match_substring_regex(column, _PLAIN_ID)


def folded(column: pa.StringArray) -> pa.StringArray:
    """`contact.fold` of each value; "" for null."""
    ascii_only = pc.string_is_ascii(column)
    lower = pc.if_else(ascii_only, pc.ascii_lower(column), None)  # of ASCII letters, case folding is the lower case
    if pc.all(ascii_only).as_py() is not False:
        return lower.fill_null("")
    return pc.coalesce(lower, clean(fold, pc.if_else(ascii_only, None, column)).values).fill_null("")


_UNCHANGED: dict[Rule, Callable[[pa.StringArray], pa.BooleanArray]] = {
    clean_line: _is_plain,
    clean_name: _is_plain_name,
    clean_full_name: _is_plain_full_name,
    clean_note: _is_plain,
    clean_email: _is_plain_email,
    clean_external_id: _is_plain_id,
    clean_phone: _is_plain_phone,
}
