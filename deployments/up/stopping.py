"""How `make up` is asked to stop: by Ctrl-C, SIGTERM or a closed terminal."""

import signal
from types import FrameType

STOP_TIMEOUT_SECONDS = 10.0  # until a process that was asked to stop is killed; 0 after a second signal


class Stopped(BaseException):  # a BaseException, so that no handler of errors catches it
    """`make up` was asked to stop."""


class Signals:
    """Counts the signals. The first stops everything in order, the second kills what still runs."""

    def __init__(self) -> None:
        self.count = 0
        self.may_interrupt = False  # True while a step runs that may be interrupted anywhere

    def listen(self) -> None:
        """Count signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup make up
                signal.signal(number, self._received)

    def _received(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1 and self.may_interrupt:
            raise Stopped

    def check(self) -> None:
        """Raise Stopped if a signal was received."""
        if self.count:
            raise Stopped

    def stop_timeout(self) -> float:
        """Seconds until a process that was asked to stop is killed."""
        return STOP_TIMEOUT_SECONDS if self.count <= 1 else 0.0
