"""The good pandas script: rules over whole columns, COPY into a temporary table, INSERT … ON CONFLICT.

It reads with calamine, pandas' fastest reader, cleans and checks each column at once, keeps faulty rows with their
reasons, keeps one row of each person, and brings them into the database by ADBC, which copies. It does less than
import_crm_data: the checks are looser, nobody without an e-mail is recognised by name, of several rows for one person
only one is used, and a run that is interrupted or started twice is not noticed.

What pandas imports when it is first needed is imported here, before the time is taken.
"""

import os

import pandas as pd
import pandas.io.excel._calamine
import pyarrow as pa
import pyarrow.compute
from adbc_driver_postgresql import dbapi
from loaded import Loaded

HEADINGS = {
    "Organisation": "organization",
    "First name": "first_name",
    "Last name": "last_name",
    "Title": "title",
    "E-mail": "email",
    "Phone": "phone",
    "Street": "street",
    "City": "city",
    "Country": "country",
    "Tags": "tags",
    "Notes": "notes",
    "Last contacted": "last_contacted",
}
FIELDS = list(HEADINGS.values())
EMAIL = r"[^ @<>()\[\],;:]+@(?:[^ @<>()\[\],;:.]+\.)+[^ @<>()\[\],;:.0-9]{2,}"
BLANKS = "[ \t\r\n]+"  # with \\s pandas leaves Arrow's kernels and takes ten times as long
PHONE = "(?:[^0-9]*[0-9]){3}"  # the shortest number that anyone dials has three digits
TABLES = f"""
    CREATE TABLE IF NOT EXISTS upserted (
        identity text PRIMARY KEY,
        {", ".join(f"{field} {'date' if field == 'last_contacted' else 'text'}" for field in FIELDS)},
        updated_at timestamptz NOT NULL DEFAULT now()
    )"""
# A blank never erases, and a row that changes nothing is not written.
UPSERT = f"""
    INSERT INTO upserted AS old (identity, {", ".join(FIELDS)})
    SELECT identity, {", ".join(FIELDS[:-1])}, last_contacted::date FROM fresh
    ON CONFLICT (identity) DO UPDATE
    SET {", ".join(f"{field} = coalesce(excluded.{field}, old.{field})" for field in FIELDS)}, updated_at = now()
    WHERE ({", ".join(f"old.{field}" for field in FIELDS)})
        IS DISTINCT FROM ({", ".join(f"coalesce(excluded.{field}, old.{field})" for field in FIELDS)})"""


def run(workbook: str) -> Loaded:
    frame = pd.read_excel(workbook, engine="calamine", dtype=str, keep_default_na=False).rename(columns=HEADINGS)
    people, faults = judged(cleaned(frame))
    rejects = pd.concat(
        [
            frame[faulty].assign(row_number=frame.index[faulty] + 2, column_name=column, reason=reason)
            for column, reason, faulty in faults
        ]
    )
    rejected = rejects["row_number"].nunique()
    people["identity"] = identity(people)
    # The row of whoever was contacted last speaks.
    once = people.sort_values("last_contacted", na_position="first", kind="stable").drop_duplicates(
        "identity", keep="last"
    )
    with dbapi.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        cursor.adbc_ingest("fresh", pa.Table.from_pandas(once, preserve_index=False), mode="create", temporary=True)
        cursor.execute(UPSERT)
        cursor.adbc_ingest("rejects", pa.Table.from_pandas(rejects, preserve_index=False), mode="create_append")
        connection.commit()
    return Loaded("upserted", aside=rejected + len(people) - len(once))


def cleaned(frame: pd.DataFrame) -> pd.DataFrame:
    """One line of text in each cell but that of notes, and blank cells as missing ones."""
    texts = {
        field: (column if field == "notes" else column.str.replace(BLANKS, " ", regex=True)).str.strip()
        for field, column in frame.items()
    }
    texts["email"] = texts["email"].str.lower().str.removeprefix("mailto:")
    return pd.DataFrame(texts).replace("", pd.NA)


def judged(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, str, pd.Series]]]:
    """The rows in which nothing is at fault, and the faults: column, reason, and the rows that have it."""
    text = frame["last_contacted"]
    days = pd.to_datetime(text, format="%Y-%m-%d %H:%M:%S", errors="coerce")
    rest = text[days.isna() & text.notna()]
    days = days.fillna(pd.to_datetime(rest, format="%d/%m/%Y", errors="coerce"))
    names = frame[["first_name", "last_name", "email", "organization"]].isna()
    faults = [
        ("E-mail", "is not an e-mail address", frame["email"].notna() & ~_like(frame["email"], EMAIL)),
        ("Phone", "is not a telephone number", frame["phone"].notna() & ~frame["phone"].str.match(PHONE, na=False)),
        ("Last contacted", "is not a date: write it as YYYY-MM-DD", text.notna() & days.isna()),
        ("Last name", "is blank although there is a first name", names["last_name"] & ~names["first_name"]),
        ("", "has no name, no e-mail and no organisation", names.all(axis=1)),
    ]
    faulty = pd.concat([mask for _, _, mask in faults], axis=1).any(axis=1)
    return frame.assign(last_contacted=days)[~faulty], faults


def _like(column: pd.Series, pattern: str) -> pd.Series:
    return column.str.fullmatch(pattern, na=False)


def identity(people: pd.DataFrame) -> pd.Series:
    """Who a row is about: e-mail and name, or, without an e-mail, organisation and name; case does not matter."""
    name = people["first_name"].fillna("") + " " + people["last_name"].fillna("")
    return (people["email"].fillna(people["organization"]).fillna("") + "\x1f" + name).str.lower()
