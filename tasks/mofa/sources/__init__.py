"""The ministries that can be watched: one module each, with one constant SOURCE.

A new one is one file here and one test; it is found by its name.
"""

from importlib import import_module
from pkgutil import iter_modules

from db.errors import UserError
from tasks.mofa.page import Source


class UnknownSourceError(UserError, ValueError):
    """No module has this name; the message lists those that exist."""


def names() -> list[str]:
    """All sources, in order."""
    return sorted(module.name for module in iter_modules(__path__))


def source(name: str) -> Source:
    """The source of this name. Raises UnknownSourceError."""
    if name not in names():
        raise UnknownSourceError(f"there is no source {name!r}: choose one of {', '.join(names())}")
    found: Source = import_module(f"{__name__}.{name}").SOURCE
    return found
