"""Other users of this machine."""

import os
from collections.abc import Callable

import pytest

from db.errors import JobError

NOBODY = 65534
as_root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def as_nobody(function: Callable[[], object]) -> str:
    """What `function` returns, or the expected error it raises, as text; in a process of the user nobody.

    Forked and not started anew, because nobody may not enter the home of an interpreter that is root's.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            try:
                answer = function()
            except (JobError, OSError) as error:
                answer = error
            os.write(writing, str(answer).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
