"""Texts as people see them on terminals, in logs, reports and messages: no secrets, no invisible characters.

`redacted` is for addresses, `printable` for names, headings and everything else that comes from outside. Errors are
printable by themselves: see `errors.py`.
"""

import re
import unicodedata
from urllib.parse import unquote

_HIDDEN = "..."  # in place of a host that may be a part of a password
# Invisible letters and marks; the categories Cc, Cf, Cs, Co and Cn have the others.
_BLANK_LETTERS = dict.fromkeys(map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"), "")
_REPLACED = {"Cc": "", "Cf": "", "Co": "", "Cn": "", "Zl": " ", "Zp": " "}
_BREAKS = "\t\n\v\f\r\x1c\x1d\x1e\x85"  # control characters that separate lines or words
_JOINERS = "\u200c\u200d"  # Persian, Indian scripts and emoji need them between two characters
_LONE_JOINER = re.compile(f"(?<![^\0-\x7f{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?![^\0-\x7f{_JOINERS}])")

# The end of the scheme of an address, also of one that is typed wrong: http:/x, https//x, http:x.
_SEPARATOR = re.compile(
    r":[\\/]{2,}|(?<!\b[a-z]):[\\/]+|\b(?:https?|s3|ftps?|sftp)(?:[\\/]{2,}|:[\\/\s]*)|\bpostgres(?:ql)?:[\\/]*|(?<![\w-])data:[\\/]*",
    re.IGNORECASE,
)
_CHAINED = re.compile(r"::(?=[a-z0-9+.-]{2,20}:[\\/])", re.IGNORECASE)  # zip://a.csv::https://example.org/a.zip
_HOST = re.compile(r"[^:\[\]]*(:[0-9]*)?|\[[^\]]*\](:[0-9]*)?")
_USER = re.compile(r"(?<![^\s\\/])[^\s\\/:@]+:[^\s\\/@]*@(?=[\w\[]|$)")  # user:password@ where nothing says address
_PARAMETER = re.compile(r"([;&]|%3[bf]|%26)", re.IGNORECASE)
_WORD = re.compile(r"""[^\s"'<>()]+""")


class _Replacements(dict[int, str]):
    """Code point -> what is shown for it; each is looked up once."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = character in _JOINERS
        shown = character if kept else _REPLACED.get(unicodedata.category(character), character)
        self[code] = shown
        return shown


_REPLACEMENTS = _Replacements({**_BLANK_LETTERS, **dict.fromkeys(map(ord, _BREAKS), " ")})


def printable(text: object) -> str:
    """The text on one line, without control, direction, zero-width and other invisible characters.

    Line breaks and tabs become blanks, lone surrogates (bytes that are not UTF-8) question marks.
    """
    return _visible(str(text)).encode("utf-8", "replace").decode()


def _visible(text: str) -> str:
    """The printable text, still with its lone surrogates: question marks would begin the query of an address."""
    if text.isascii() and text.isprintable():
        return text
    return _LONE_JOINER.sub("", text.translate(_REPLACEMENTS))


def is_address(text: str) -> bool:
    """Whether it is an address and no path, perhaps one that is typed wrong."""
    found = _SEPARATOR.search(shown := printable(text))
    return found is not None and not set("\\/") & set(shown[: found.start()])


def redacted(address: str) -> str:
    """The address, printable, without user, password, fragment and the values of its query: any may be a secret.

    Understands addresses that are typed wrong; a path is shown as it is. What may be a part of a password is left out
    rather than shown.
    """
    text = _visible(address)
    if not _SEPARATOR.search(text) and _SEPARATOR.search(decoded := _visible(unquote(text))):
        text = decoded
    return printable("::".join(map(_redacted, _CHAINED.split(text))))


def redacted_in(sentence: object) -> str:
    """The sentence of another program, with each address in it redacted."""
    return _WORD.sub(lambda found: redacted(found[0]), printable(sentence))


def _redacted(text: str) -> str:
    found = _SEPARATOR.search(text)
    if found is None:
        return _USER.sub("***@", text)
    scheme = _USER.sub("***@", text[: found.start()]) + found[0]
    if scheme.lower().endswith("data:"):
        return scheme + _HIDDEN
    host, path, query = _parts(text[found.end() :])
    return f"{scheme}{host}{_without_values(path)}{_without_values(query)}"


def _parts(rest: str) -> tuple[str, str, str]:
    """Host, path and query of what follows the scheme; more than the host may be hidden."""
    host, path, query = _divided(rest)
    may_have_user = bool({"@", ":"} & set(host))
    if "@" in host:
        host = host.rpartition("@")[2]
    elif "@" in rest and not _HOST.fullmatch(host):  # the password has a slash or a question mark
        host, path, query = _divided(rest.rpartition("@")[2])
    if may_have_user and re.search(r"[^\\/]@", path):
        host, path = "***@", path.rpartition("@")[2]
    if "://" in (decoded := unquote(path)) and "@" in decoded:
        path = f"/{_HIDDEN}"
    return (host if _HOST.fullmatch(host) else _HIDDEN), path, query


def _divided(rest: str) -> tuple[str, str, str]:
    rest = rest.partition("#")[0]
    address, mark, query = rest.partition("?")
    host = re.split(r"[\\/]", address, maxsplit=1)[0]
    return host, address[len(host) :], mark + query


def _without_values(text: str) -> str:
    """A path or a query with the names of its parameters, and *** for their values."""
    if text.startswith("?"):
        return "?" + _shown_parameters(text[1:]) if len(text) > 1 else ""
    path, *parameters = _PARAMETER.split(text, maxsplit=1)
    return path + (parameters[0] + _shown_parameters(parameters[1]) if parameters else "")


def _shown_parameters(text: str) -> str:
    pieces = _PARAMETER.split(text)
    return "".join(piece if at % 2 else _shown_parameter(piece) for at, piece in enumerate(pieces))


def _shown_parameter(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}=***" if equals and name else "***"
