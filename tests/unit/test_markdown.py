"""Text in Markdown: none from a workbook or a page becomes markup, a link or a mention."""

import pytest

from tasks.markdown import escape_for_channels, one_line, safe_link


def test_invisible_characters_and_calls_to_everybody_do_not_pass() -> None:
    assert one_line("a\u202eb\u2066c\u200bd\u00ade\0f\ue000") == "abcdef"
    assert "@everyone" not in one_line("hi @everyone @Here info@embassy.example").lower()
    assert one_line("info@embassy.example") == "info@embassy.example"
    assert one_line("می‌خواهم") == "می‌خواهم"
    assert one_line("x" * 500) == "x" * 199 + "…"
    assert escape_for_channels("9~12 <b>") == "9～12 ‹b›"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "ftp://x", "http://[", "", None])
def test_only_web_addresses_become_links(url: str | None) -> None:
    assert safe_link(url) is None


def test_an_address_cannot_end_its_link() -> None:
    assert safe_link('http://x.example/a) [b](c "d\n<e>') == "http://x.example/a%29%20%5Bb%5D%28c%20%22d%0A%3Ce%3E"
