"""Recognises an error page that a server sends with status 200 in place of the page.

It is asked only about a page that its parser could not read: a list of missions below a banner "Maintenance on Sunday"
is a list of missions. So it may be generous, and a title is enough.
"""

import re

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

_SHORT = 600  # characters of text: below it the whole text is looked at, else only titles and first headings
_TITLE = 300  # characters of all titles and first headings that are looked at
_UNSEEN = ("script", "style", "noscript", "template", "title")
_PHRASES = {  # what real error pages say, in the languages of those who write them
    "a maintenance page": r"maintenance|メンテナンス|システム停止|점검|维护|維護|will be back soon|be right back"
    r"|техническ\w+ работ|техническое обслуживание|профилактическ|mantenimiento|manutenção|manutenzione"
    r"|wartungsarbeiten|onderhoud|prace (?:konserwacyjne|techniczne)|bakım|صيانة|bảo trì|pemeliharaan",
    "an access-denied page": r"access (?:to this page |is |was |has been )*denied|requested url was rejected"
    r"|request (?:rejected|blocked|unsuccessful)|you don.t have permission|\bforbidden\b|have been blocked"
    r"|アクセス.{0,8}(?:拒否|制限)|アクセスが集中|доступ.{0,12}(?:запрещ|ограничен|закрыт)"
    r"|접근.{0,8}(?:거부|차단|제한)|访问.{0,6}(?:拒绝|禁止)|accès (?:refusé|interdit)|acceso denegado"
    r"|zugriff verweigert|erişim engellendi",
    "a challenge for robots": r"captcha|just a moment|attention required|checking (?:your browser|if the site)"
    r"|verify(?:ing)? (?:that )?you are (?:a )?(?:human|not a robot)|are you (?:a )?(?:human|robot)|not a robot"
    r"|security check|enable javascript and cookies|проверка браузера|ddos[- ]guard|安全验证",
    "an error page": r"(?:service|site|page|website|temporarily)(?: is)?(?: currently| temporarily)? unavailable"
    r"|bad gateway|gateway time-?out|internal server error|too many requests|database error"
    r"|error establishing a database connection|(?:page|file) (?:was |could |can)?(?:not|cannot)(?: be)? found"
    r"|\b(?:404|50[0234])\b.{0,20}(?:error|not found)|error \b(?:404|50[0234])\b|сервис.{0,12}недоступен"
    r"|страница не найдена|временно недоступ|ページが見つかりません|seite nicht gefunden|page introuvable",
}
_LOGIN = re.compile(
    r"\b(?:log|sign) ?in\b|single sign-on|authentication|ログイン|로그인|вход|авторизац|登录|登錄|anmeld|connexion"
    r"|iniciar sesi[oó]n",
    re.IGNORECASE,
)
_COMPILED = {name: re.compile(phrases, re.IGNORECASE) for name, phrases in _PHRASES.items()}


def detect_error_page(tree: BeautifulSoup) -> str | None:
    """What the server sent in place of the page ("a login page"), or None if nothing says so; `tree` is not changed."""
    titles = _visible(tree.select("title, h1"))[:_TITLE]
    text = _visible([tree], without=_UNSEEN)
    about = f"{titles} {text}" if len(text) < _SHORT else titles
    for name, phrases in _COMPILED.items():
        if phrases.search(about):
            return name
    if _LOGIN.search(titles) or (len(text) < _SHORT and tree.select_one("input[type=password i]")):
        return "a login page"
    return None if text else "nothing"


def _visible(nodes: list[Tag], without: tuple[str, ...] = ()) -> str:
    """The text that a reader sees below `nodes`, its whitespace collapsed."""
    texts: list[str] = []
    rest: list[object] = [*reversed(nodes)]  # no recursion: a hostile page nests deeper than the stack
    seen: set[int] = set()  # headings may be inside each other
    while rest:
        each = rest.pop()
        if isinstance(each, Tag):
            if each.name not in without and id(each) not in seen:
                seen.add(id(each))
                rest += reversed(each.contents)
        elif type(each) is NavigableString:  # its subclasses are comments and the like
            texts.append(each)
    return " ".join(" ".join(texts).split())
