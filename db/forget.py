"""Deletes one person from contacts, their history, rejected and staged rows, shared addresses and messages.

    python -m db.forget ann@example.org

The e-mail address identifies the person; everybody who shares it is deleted. Contacts of other people that mention the
address, in their notes or in another column, are not deleted but listed: only a person can decide about them.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from db.engine import DatabaseError, database_of_command, transaction


@dataclass(frozen=True)
class Forgotten:
    """What was deleted, and what a person has to look at."""

    contacts: int
    rejects: int
    staged: int
    mentions: list[int]  # contacts.id of others that mention the address

    def __str__(self) -> str:
        return f"{self.contacts} contacts, {self.rejects} rejected rows, {self.staged} staged rows"


def forget(connection: Connection, email: str) -> Forgotten:
    """Delete everybody with this e-mail address, in upper or lower case, in the caller's transaction."""
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
            WITH found AS (
                SELECT DISTINCT import_id, sheet, row_number FROM import_rejects
                WHERE {_texts('"row"')} ~* :pattern OR value ~* :pattern
            ), gone AS (DELETE FROM import_rejects j USING found f WHERE j.import_id = f.import_id
                AND j.sheet = f.sheet AND j.row_number = f.row_number)
            SELECT * FROM found"""),
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
    """SQL for the words of a JSON column, in which each escape is a blank: its letter would become part of a word."""
    return rf"regexp_replace({column}::text, '\\(u[0-9a-f]{{4}}|.)', ' ', 'g')"


def _pattern(email: str) -> str:
    """A pattern for the address as a whole word: neither joann@example.org nor ann@example.org.uk."""
    return rf"(?<![[:alnum:]._%+-]){re.escape(email)}(?![[:alnum:]_-]|\.[[:alnum:]])"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) != 1 or not re.fullmatch(r"[^@\s]+@[^@\s]+", given[0]):
        print("Usage: python -m db.forget EMAIL", file=sys.stderr)
        return 2
    try:
        with database_of_command(), transaction() as connection:
            done = forget(connection, given[0])
    except DatabaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"removed: {done}")
    if done.mentions:
        print(f"Other contacts mention {given[0]}; look at these: contacts {', '.join(map(str, done.mentions))}")
    print("Remove the person from the workbook too: its next version would import them again.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
