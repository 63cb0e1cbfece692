"""The ministries that can be monitored: TOML files and Python modules of this directory, and TOML files of the user's.

The name of a file is the name of its source. A file in MOFA_SOURCES takes the place of a shipped source of its name.
"""

import re
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from db.errors import UserError
from tasks.mofa import recording
from tasks.mofa.file_parser import source_of
from tasks.mofa.page import Source
from tasks.mofa.settings import monitor_settings
from tasks.mofa.source_file import SourceFileError, load

_HERE = Path(__path__[0])
_RECORDED = "recorded"  # the directory beside the sources with the fixture of each
_DEMO = "demo"  # its ministry is not always served
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,49}")


class UnknownSourceError(UserError, ValueError):
    """No file has this name, or matches this pattern; the message lists those that exist."""


def names() -> list[str]:
    """All sources, in order."""
    modules = {module.name for module in iter_modules([str(_HERE)])}
    return sorted(modules | _files().keys())


def is_pattern(name: str) -> bool:
    """Whether it stands for several sources, such as * or germany*, and not for one."""
    return bool(set(name) & set("*?["))


def matching(pattern: str) -> list[str]:
    """The names that match, in order, without the demo's; a name is its own. Raises UnknownSourceError for none."""
    if not is_pattern(pattern):
        return [pattern]
    found = [name for name in names() if fnmatchcase(name, pattern) and name != _DEMO]
    if not found:
        raise UnknownSourceError(f"no source matches {pattern!r}: there are {', '.join(names())}")
    return found


def _files() -> dict[str, Path]:
    """The TOML files by the names of their sources; those of the user come last and win."""
    directory = monitor_settings().sources
    if directory is not None and not directory.is_dir():
        raise SourceFileError(f"MOFA_SOURCES: {directory} is not a directory")
    found = [file for each in (_HERE, directory) if each is not None for file in sorted(each.glob("*.toml"))]
    return {file.stem: file for file in found if _NAME.fullmatch(file.stem)}


def source(name: str) -> Source:
    """The source of this name. Raises UnknownSourceError, or SourceFileError if its file is wrong."""
    if file := _files().get(name):
        return of_file(file)
    if name not in names():
        raise UnknownSourceError(f"there is no source {name!r}: choose one of {', '.join(names())}")
    found: Source = import_module(f"{__name__}.{name}").SOURCE
    return replace(found, origin=name)


def of_file(file: Path) -> Source:
    """The source that a TOML file describes, wherever it is. Raises SourceFileError."""
    if not _NAME.fullmatch(file.stem):
        raise SourceFileError(f"{file.name}: name it with small letters, digits, - and _, for example france.toml")
    seen = recording.head(fixture_directory(file.stem, file))
    found = source_of(file.stem, load(file), verified=seen is not None and seen[1] == "saved")
    return replace(found, origin=str(file))


def fixture_directory(name: str, file: Path | None = None) -> Path:
    """Where the fixture of a source is, or would be: beside its file."""
    file = file or _files().get(name)
    return (file.parent if file else _HERE) / _RECORDED / name


def fixture_date(name: str) -> date | None:
    """The day on which the layout that a source reads was seen last; None: it has no fixture."""
    seen = recording.head(fixture_directory(name))
    return seen[0] if seen else None
