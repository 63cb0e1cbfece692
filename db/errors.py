"""The expected errors of a job: each ends the run with one plain sentence, without a traceback.

    JobError
    ├── UserError        a person must change something: trying again without that fails again
    └── TransientError   the network, a server or another transaction: trying again later may succeed

An error that is neither, such as a statement that the database refuses, is a JobError of its own.
"""

from db.display import printable


class JobError(Exception):
    """A job cannot be done; the message is one plain sentence for the person who reads the run.

    It may contain names from outside: what could command a terminal or break a line is removed.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class UserError(JobError):
    """The message names what to change: a parameter, a setting, a file."""


class TransientError(JobError):
    """Trying again later may succeed."""
