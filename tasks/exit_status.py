"""How a process ended, for people."""


def exit_status(returncode: int) -> str:
    """A return code of `subprocess` in words: "exit code 1", or "signal 9"."""
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
