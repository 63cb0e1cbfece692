"""Commands that messages and reports show to a person: quoted for a shell, and without secrets."""

import shlex

from db.display import printable, redacted


def accept_command(source: str, held: int, base_url: str | None) -> str:
    """The command that applies the held set of this number, without the password of `base_url`: nothing is fetched."""
    base = ["--base-url", redacted(base_url)] if base_url else []
    return shlex.join(["python", "-m", "flows.mofa_monitoring", printable(source), *base, "--accept", str(held)])
