"""Brings the tables of the database up to date, and creates and repairs its roles.

    python -m deployments.migrate

It connects with MIGRATION_DATABASE_URL, else with DATABASE_URL or POSTGRES_*, else to the embedded database. Run it
after an update and before the workers start again; `make up` does it itself.
"""

import sys

from db.engine import DatabaseError, database_name, database_of_command
from db.roles import separate_roles
from db.schema import revisions, upgrade


def main() -> int:
    """The command; returns its exit code."""
    try:
        with database_of_command():
            notes = upgrade()
            revision, _ = revisions()
            print(f"tables     {database_name()}: revision {revision}")
            if found := separate_roles():
                print(f"roles      {found.jobs} for the jobs, {found.reader} for people who query")
            else:
                print("roles      one for everything; MIGRATION_DATABASE_URL separates them")
            for note in notes:
                print(f"note       {note}")
    except DatabaseError as error:
        print(f"migrate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
