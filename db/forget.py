"""Forgets one person, everywhere: contacts, their history, rejected and staged rows, shared addresses, messages.

    python -m db.forget ann@example.org

A person is known by their e-mail here; everybody who shares the address is meant. Contacts of others that mention it,
in notes or in a column of its own, are not removed but named, because only a person can say what is to become of them.
"""

import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db import embedded
from db.engine import DatabaseError, database_settings, database_url, engine, transaction


@dataclass(frozen=True)
class Forgotten:
    """What was removed, and what was not."""

    contacts: int
    rejects: int
    staged: int
    mentions: list[int]  # contacts.id of others that mention the address

    def __str__(self) -> str:
        return f"{self.contacts} contacts, {self.rejects} rejected rows, {self.staged} staged rows"


def forget(connection: Connection, email: str) -> Forgotten:
    """Remove whoever has this e-mail, whatever its case, in the caller's transaction."""
    address = {"email": email, "pattern": _pattern(email)}
    gone = connection.scalars(
        text("DELETE FROM contacts WHERE lower(email) = lower(:email) RETURNING id"), address
    ).all()
    connection.execute(
        text("DELETE FROM contact_changes WHERE contact_id = ANY(:gone) OR concat_ws(' ', old, new) ~* :pattern"),
        {**address, "gone": list(gone)},
    )
    rows = connection.execute(
        text(f"""
            WITH gone AS (DELETE FROM import_rejects WHERE {_texts('"row"')} ~* :pattern OR value ~* :pattern
                          RETURNING import_id, sheet, row_number)
            SELECT DISTINCT import_id, sheet, row_number FROM gone"""),
        address,
    )
    staged = connection.execute(
        text(f"""
            DELETE FROM import_staging WHERE lower(email) = lower(:email)
            OR concat_ws(' ', notes, {_texts("extra")}, {_texts("problems")}, {_texts("raw")}) ~* :pattern"""),
        address,
    )
    connection.execute(
        text("""
            UPDATE task_runs SET result = jsonb_set(result, '{shared_emails}', (
                SELECT coalesce(jsonb_agg(each), '[]') FROM jsonb_array_elements(result -> 'shared_emails') each
                WHERE lower(each ->> 0) <> lower(:email)))
            WHERE result -> 'shared_emails' @> '[]' AND (result -> 'shared_emails')::text ~* :pattern"""),
        address,
    )
    connection.execute(
        text("""
            UPDATE task_runs SET last_error = regexp_replace(last_error, :pattern, '…', 'gi')
            WHERE last_error ~* :pattern"""),
        address,
    )
    connection.execute(
        text(f"""
            UPDATE notifications SET body = (
                SELECT jsonb_object_agg(key, regexp_replace(value, :pattern, '…', 'gi')) FROM jsonb_each_text(body))
            WHERE {_texts("body")} ~* :pattern"""),
        address,
    )
    mentions = connection.scalars(
        text(f"SELECT id FROM contacts WHERE concat_ws(' ', notes, tags, {_texts('extra')}) ~* :pattern ORDER BY id"),
        address,
    )
    return Forgotten(len(gone), len(rows.all()), staged.rowcount, list(mentions))


def _texts(column: str) -> str:
    """The words of a column of JSON, in SQL: of a line break it makes two characters, of which one is a letter."""
    return rf"regexp_replace({column}::text, '\\(u[0-9a-f]{{4}}|.)', ' ', 'g')"


def _pattern(email: str) -> str:
    """The address as a word of its own: not joann@example.org for ann@example.org, nor ann@example.org.uk."""
    return rf"(?<![[:alnum:]._%+-]){re.escape(email)}(?![[:alnum:]_-]|\.[[:alnum:]])"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or not re.fullmatch(r"[^@\s]+@[^@\s]+", given[0]):
        print("Usage: python -m db.forget EMAIL", file=sys.stderr)
        return 2
    try:
        with nullcontext() if database_url() else embedded.borrowed(database_settings().data_dir):
            try:
                with transaction() as connection:
                    done = forget(connection, given[0])
            finally:
                engine().dispose()  # our own connections must not look like somebody else's
    except (DatabaseError, embedded.EmbeddedError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"removed: {done}")
    if done.mentions:
        print(f"others that mention {given[0]}, for you to look at: contacts {', '.join(map(str, done.mentions))}")
    print("Take the person out of the workbook too: its next version would bring them back.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
