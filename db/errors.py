"""The expected errors of a job: each ends it with one plain sentence, without a traceback.

    JobError
    ├── UserError        a person changes something first: trying again as it is fails again
    └── TransientError   the network, a server or another transaction: trying again later may succeed

What is neither, such as a statement that the database does not accept, is a JobError of its own.
"""


class JobError(Exception):
    """A job cannot be done; the message is one plain sentence for the person who reads the run."""


class UserError(JobError):
    """The message names what to change: a parameter, a setting, a file."""


class TransientError(JobError):
    """Trying again later may succeed."""
