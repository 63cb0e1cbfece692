"""What a page is, and the strict helpers for parsers."""

import pytest

from tasks.mofa.page import Page, PageError, html, lines, refusal

LIST = "<html><body><table class=missions>" + "<tr><td>Embassy</td></tr>" * 40 + "</table></body></html>"


def test_another_status_than_200_is_no_page():
    assert refusal(Page("x", LIST, status=503)) == "the server answered 503, a page (200) was expected"
    assert refusal(Page("x", LIST)) is None


@pytest.mark.parametrize("text", ["", " \r\n\ufeff", "\0" * 10])
def test_an_empty_page_raises(text):
    with pytest.raises(PageError, match="the page is empty"):
        html(Page("x", text))


def test_a_page_cut_short_is_said_to_be_so_only_when_somebody_asks():
    page = Page("x", LIST[:-20])
    assert len(html(page).select("tr")) == 40
    assert refusal(page) == "the page ends before its end (</html>): it was cut short"


def test_the_tree_of_a_page_is_made_once():
    page = Page("x", LIST)
    assert html(page) is html(page) is page.tree


def test_a_login_box_or_the_word_maintenance_in_a_long_text_is_no_error_page():
    text = LIST.replace("</body>", "<p>Maintenance is done.</p>" + "<p>text</p>" * 500 + "<input type=password></body>")
    assert refusal(Page("x", text)) is None


def test_a_page_nested_deeper_than_the_stack_is_read():
    depth = 5_000
    page = Page("x", f"<html><body>{'<div>' * depth}deep{'</div>' * depth}</body></html>")
    assert lines(html(page)) == "deep"


def test_lines_are_what_a_reader_sees():
    page = Page("x", "<html><p>a\n b<br>c <b>d</b></p><!-- no --><script>no</script><ul><li>e<li>f</ul></html>")
    assert lines(html(page)) == "a b\nc d\ne\nf"
