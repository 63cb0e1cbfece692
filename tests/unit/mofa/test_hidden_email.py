"""E-mail addresses that a page hides from robots are read as a reader sees them."""

import pytest
from support.english_lists import hidden

from tasks.mofa.hidden_email import as_email, shown_addresses
from tasks.mofa.page import Page

CODE = "5a33343c351a22743f223b372a363f"  # info@x.example
PROTECTED = "[email&#160;protected]"
LINK = "/cdn-cgi/l/email-protection"


@pytest.mark.parametrize(
    ("html", "shown"),
    [
        (
            hidden("info@x.example"),
            '<a href="mailto:info@x.example"><span class="__cf_email__">info@x.example</span></a>',
        ),
        (f'<span data-cfemail="{CODE}">{PROTECTED}</span>', "<span>info@x.example</span>"),
        (
            f'<a data-cfemail="{CODE}" href="{LINK}">{PROTECTED}</a>',
            '<a href="mailto:info@x.example">info@x.example</a>',
        ),
        (f'<a data-cfemail="{CODE}" href="/contact">{PROTECTED}</a>', '<a href="/contact">info@x.example</a>'),
        (f'<a href="{LINK}#{CODE}">Write to us</a>', '<a href="mailto:info@x.example">Write to us</a>'),
        (f'<a href="{LINK}#no-code">Write to us</a>', f'<a href="{LINK}#no-code">Write to us</a>'),
        ('<b data-cfemail="5a33">Write to us</b>', '<b data-cfemail="5a33">Write to us</b>'),
    ],
)
def test_an_address_that_cloudflare_hides_is_in_the_text_and_in_the_link(html, shown):
    assert Page("https://x.example/", f"<p>{html}</p>").tree.p.decode_contents() == shown


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("info@x.example", "info@x.example"),
        ("info [at] mail (dot) x { DOT } example", "info@mail.x.example"),
        ("a(at)x.example, b (at) y.example", "a@x.example, b@y.example"),
        ("visa <at> x.example\ninfo @ x.example", "visa@x.example\ninfo @ x.example"),
    ],
)
def test_words_for_at_and_dot_in_brackets_are_signs(text, address):
    assert shown_addresses(text) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("mailto:info@x.example?subject=visa", "info@x.example"),
        ("visa@x.example\n MailTo:info[at]x.example", "visa@x.example\ninfo@x.example"),
        ("Visa: visa@x.example", "Visa: visa@x.example"),
        ("", ""),
        (" ", " "),
    ],
)
def test_a_cell_of_addresses_is_read_without_mailto(text, address):
    assert as_email(text) == address


@pytest.mark.parametrize("text", ["Write to us", "[email protected]", "info@localhost", "@"])
def test_a_text_without_an_address_is_no_email(text):
    with pytest.raises(ValueError, match="no e-mail address is in the text"):
        as_email(text)
