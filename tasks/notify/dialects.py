"""The forms of a message: each channel gets one in which no text of a page is markup, a link or a mention.

`Message.markdown` escapes with backslashes, which Slack and other chats show. So a channel that may show markup gets a
form in which similar characters replace those that could be markup. Programs and e-mails without HTML get
`Message.plain`, with the values as they are. HTML shows the address of each link, because the text part of an e-mail is
made of what is visible.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_AS_THEY_ARE = frozenset({"json", "form", "xml", "mqtt", "syslog", "rsyslog", "mailto"})  # also with an s: jsons://
_ADAPTED = frozenset({"slack", "gchat", "evolution"})  # Apprise translates CommonMark for them, links only with <>
_BLOCK_OF_SLACK = 3000  # characters that a block may have, of which Apprise knows nothing
_FRAME = 30  # characters that a channel puts around title and body

_PART = re.compile(
    r"```\n(?P<code>.*?)\n```"
    r"|(?P<bold>\*\*)"
    r"| \(\[page\]\((?P<page>[^)]*)\)\)"
    r"|\[(?P<name>[^\]]*)\]\((?P<url>[^)]*)\)"
    r"|(?P<inside>(?<=[^\W_]|[/.:=&?@-])(?:\\_)+(?=\w))"  # of a word or an address: no markup
    r"|\\(?P<sign>[#+.)-])(?=[\w(])"  # +44 is no list
    r"|\\(?P<mark>.)"
    r"|(?P<bars>\|{2,})",
    re.DOTALL,
)
_SIMILAR = str.maketrans("*_`[]#+-.)|", "∗＿'［］＃＋－．）｜")


@dataclass(frozen=True)
class Dialect:
    """How a channel writes what a message consists of."""

    bold: str
    link: str
    page: str  # the link that ends a line
    code: str


COMMONMARK = Dialect("**", "[{name}]({url})", " ([page]({page}))", "```\n{code}\n```")
ADAPTED = Dialect("**", "[{name}](<{url}>)", " ([page](<{page}>))", "```\n{code}\n```")
TEXT = Dialect("", "{name}: {url}", "\n  {page}", "    {code}")


def in_dialect(markdown: str, dialect: Dialect) -> str:
    """The Markdown of a message in a dialect, without backslashes."""

    def part(found: re.Match[str]) -> str:
        parts = {name: text for name, text in found.groupdict().items() if text is not None}
        for name, shape in (("code", dialect.code), ("page", dialect.page), ("url", dialect.link)):
            if name in parts:
                return shape.format(**parts)
        if "bold" in parts:
            return dialect.bold
        if kept := parts.get("inside") or parts.get("sign"):
            return kept.replace("\\", "")
        return (parts.get("mark") or parts["bars"]).translate(_SIMILAR)

    return _PART.sub(part, markdown)


def as_html(markdown: str) -> str:
    """The Markdown of a message as HTML, in which each link shows its address."""
    from apprise.conversion import markdown_to_html  # noqa: PLC0415 - slow, see channels

    html = str(markdown_to_html(markdown))  # type: ignore[no-untyped-call]
    html = re.sub(r' \(<a href="([^"]+)">page</a>\)', r'<br /><a href="\1">\1</a>', html)
    return re.sub(r'<a href="([^"]+)">((?!http)[^<]*)</a>', r'\2: <a href="\1">\1</a>', html)


def for_plugin(plugin: Any, kind: str, title: str, plain: str, markdown: str) -> dict[str, str]:
    """The arguments of `plugin.notify`: the title, the body and the body's format.

    Args:
        plugin: Apprise's object for the channel.
        kind: the scheme of the channel's address.
        title: of the message.
        plain: its body as text.
        markdown: its body as Markdown.
    """
    _correct(plugin, kind)
    if plugin.title_maxlen and len(title) > plugin.title_maxlen:
        title = title[: plugin.title_maxlen - 1] + "…"
    limit = _BLOCK_OF_SLACK if getattr(plugin, "use_blocks", False) else plugin.body_maxlen
    max_length = max(limit - len(title) - _FRAME, limit // 2)
    data, adapted = (kind.removesuffix("s") in kinds for kinds in (_AS_THEY_ARE, _ADAPTED))
    if plugin.notify_format == "html":
        return {"title": title, "body": _cut(markdown, max_length, as_html), "body_format": "html"}
    if plugin.notify_format == "text":
        text = plain if data else in_dialect(markdown, TEXT)
        return {"title": title, "body": _cut(text, max_length), "body_format": "text"}
    body = _cut(in_dialect(markdown, ADAPTED if adapted else COMMONMARK), max_length)
    if not plugin.title_maxlen:  # in a paragraph of its own
        title, body = "", f"**{title}**\n\n{body}"
    return {"title": title, "body": body, "body_format": "html" if adapted else "markdown"}


def _correct(plugin: Any, kind: str) -> None:
    """Change what Apprise's object would do to the text."""
    if kind == "tgram" and plugin.notify_format == "markdown":
        plugin.notify_format = "html"  # Telegram's own Markdown refuses a message with a single underscore
    if plugin.notify_format == "markdown" and hasattr(plugin, "ping_payload"):
        mentions = plugin.ping_payload  # Discord: those in the body, for which it takes e-mail addresses, and `ping=`
        plugin.ping_payload = lambda _body, *asked: mentions(*asked)


def fitted(body: str, max_length: int) -> str:
    """The body in at most `max_length` characters: whole lines from its start, and its last paragraph (the links)."""
    if len(body) <= max_length:
        return body
    start, _, end = body.rpartition("\n\n")
    rest = f"… shortened: the rest is on the run's page\n\n{end}"
    if len(rest) >= max_length:
        return body[: max_length - 1] + "…"
    kept = start[: max_length - len(rest) - 1].rpartition("\n")[0]
    if kept.count("```") % 2:  # a command without its end
        kept = kept[: kept.rindex("```")]
    return "\n\n".join(filter(None, [kept.rstrip(), rest]))


def _cut(text: str, max_length: int, render: Callable[[str], str] = str) -> str:
    """What `render` makes of the text, cut so that this fits, also if each & becomes &amp;."""
    length = max_length
    while (over := len(shown := render(fitted(text, length))) + 4 * shown.count("&") - max_length) > 0 and length > 1:
        length = max(length - over, 1)
    return shown
