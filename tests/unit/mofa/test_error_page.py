"""Error pages that a server sends with status 200."""

import pytest

from tasks.mofa.page import Page, refusal

MISSIONS = "".join(f"<tr><td>Embassy {n}</td><td>{n} Rue de la Paix</td></tr>" for n in range(40))
PAGE = f"<!doctype html><html><head><title>Embassies</title></head><body><table>{MISSIONS}</table></body></html>"


def short(value: object) -> str:
    return str(value)[:30]


LOGIN = (
    "<html><head><title>Ministry portal: Sign in</title></head><body>"
    '<form><input name="u"><input type="PASSWORD"></form>Welcome</body></html>'
)
ERROR_PAGES = {
    "a login page": [LOGIN, '<form>User <input type="password"></form>', '<form><input type="password"></form>'],
    "a maintenance page": [
        "<html><title>MOFA</title><body>This site is under scheduled maintenance until 06:00.</body></html>",
        "<html><title>メンテナンスのお知らせ</title><body>ただいまメンテナンス中です。</body></html>",
        "<html><title>알림</title><body>시스템 점검 중입니다.</body></html>",
        "<html><body><h1>Технические работы</h1>Сайт временно недоступен</body></html>",
        "<title>Down for maintenance</title>" + "<p>Navigation of the whole site.</p>" * 60,
    ],
    "an access-denied page": [
        (
            "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>You don't have permission "
            'to access "http&#58;&#47;&#47;www&#46;mofa" on this server.<P>Reference&#32;&#35;18&#46;2f3e</BODY></HTML>'
        ),
        (
            "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult "
            "with your administrator.<br><br>Your support ID is: 123</body></html>"
        ),
        '<html><body><iframe src="/_Incapsula_Resource?x">Request unsuccessful. Incapsula incident ID: 8</iframe>',
        "<html><h1>403 Forbidden</h1><p>nginx</p></html>",
    ],
    "a challenge for robots": [
        "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body><p>One moment</p></body></html>",
        "<html><title>x</title><body>Please complete the CAPTCHA to continue</body></html>",
        "<html><title>Attention Required! | Cloudflare</title><body>Why?</body></html>",
    ],
    "an error page": [
        "<html><title>Page not found | MOFA</title><body>Sorry.</body></html>",
        "<html><body><h1>Service Unavailable</h1></body></html>",
        "<p>Error establishing a database connection</p>",
    ],
    "nothing": [
        "",
        " \n\t",
        "<html></html>",
        "<html><head><title>MOFA</title></head><body></body></html>",
        "<html><body><script>app()</script><noscript>JavaScript!</noscript>",
    ],
}


@pytest.mark.parametrize(
    ("error", "text"), [(name, text) for name, texts in ERROR_PAGES.items() for text in texts], ids=short
)
def test_an_error_page_with_status_200_is_recognised(error, text):
    expected = "the page is empty" if not text.strip() else f"instead of the page the server sends {error}"
    assert refusal(Page("x", text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        PAGE,
        '{"results": [], "message": "maintenance"}',
        "[]",
        # A list whose site has a login box, a captcha in its contact form and a note on maintenance
        PAGE.replace(
            "<table>", '<form>Login <input type="password"></form><p>Maintenance on Sunday. CAPTCHA</p><table>'
        ),
        # A small mission that mentions such things
        "<html><title>British Embassy Oslo</title><body><p>Consular section closed for maintenance in July.</p>"
        + "<p>Thomas Heftyes gate 8, 0244 Oslo, telephone +47 23 13 27 00</p>" * 12
        + "</body></html>",
        "<div class='contacts'><h3>Посольство</h3><table><tr><td>Адрес</td><td>Oslo</td></tr></table></div>",
    ],
    ids=short,
)
def test_a_page_that_only_mentions_such_things_is_a_page(text):
    assert refusal(Page("x", text)) is None


def test_the_whole_text_of_a_short_page_is_looked_at_and_only_titles_of_a_longer_one():
    words = "page not found"
    for length, found in ((599, "an error page"), (600, None)):
        text = words + "x" * (length - len(words))
        assert refusal(Page("https://mofa.example/", f"<title></title><p>{text}</p>")) == (
            found and refusal(Page("https://mofa.example/", f"<p>{words}</p>"))
        )


@pytest.mark.parametrize(("length", "refused"), [(599, True), (600, False)])
def test_a_password_is_asked_for_by_a_short_page_and_beside_the_text_of_a_longer_one(length, refused):
    page = Page("https://mofa.example/", f"<form><input type='password'></form><p>{'x' * length}</p>")
    assert bool(refusal(page)) is refused


@pytest.mark.parametrize(("length", "refused"), [(300, True), (301, False)])
def test_the_first_300_characters_of_titles_are_looked_at(length, refused):
    words = "page not found"
    title = "x" * (length - len(words)) + words
    assert bool(refusal(Page("https://mofa.example/", f"<title>{title}</title><p>{'x' * 600}</p>"))) is refused
