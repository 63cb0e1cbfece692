"""Whole names, split into first and last name."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What follows a name and is no name itself; without dots. Letters that are also names (Ma, Do, Ba) are not among them.
_SUFFIXES = _words(
    "jr sr ii iii iv phd md dds dvm jd esq mba msc bsc cpa cfa dphil llm llb obe mbe cbe ceo cfo cto coo"
)
_LEGAL_FORMS = _words(
    "inc incorporated corp corporation ltd limited llc llp plc pty gmbh mbh kgaa ohg gbr sarl sas sasu srl snc spa bv "
    "nv oyj aps ooo zao oao kft zrt nyrt doo dd sro spzoo eood ead"
)
_SHORT_LEGAL_FORMS = _words("co sa ag kg se ab as oy sl lp ao ad")  # with dots or as capitals: Li, Se is a person
_LEADING_LEGAL_FORMS = _words("ооо оао зао пао тоо тов прат зат")
# Belong to the last name where they are written small: Ludwig von Beethoven, Ana de la Cruz.
_PARTICLES = _words(
    "van von der den de del della di da do dos das du des la le lo los las zu zum zur vom ten ter te af av bin ibn y"
)


def split_name(name: str | None, *, last_first: bool = False) -> tuple[str | None, str | None]:
    """First and last name of a whole one: "Last, First" says it; else the last word, or the first, is the last name.

    A suffix ("Jr.", "PhD") stays behind the first name. A name that ends with a legal form ("Acme, Inc.") is that of
    an organisation and stays whole.
    """
    if name is None:
        return None, None
    if _is_organization(name):
        return None, name
    last, *others = [part.strip() for part in name.split(",")]
    suffixes = [part for part in others if _is_suffix(part)]
    others = [part for part in others if part not in suffixes]
    if len(others) == 1 and last and others[0]:
        first = others[0]
    else:
        words = ", ".join([last, *others]) if suffixes else name
        first, last = _split_words(words.split(" "), suffixes, last_first=last_first)
    return " ".join(filter(None, [first, *suffixes])) or None, last


def _split_words(words: list[str], suffixes: list[str], *, last_first: bool) -> tuple[str, str]:
    if last_first:
        return " ".join(words[1:]), words[0]
    while len(words) > 2 and _is_suffix(words[-1]):  # noqa: PLR2004 - a first and a last name remain
        suffixes.insert(0, words.pop())
    begin = len(words) - 1
    while begin > 1 and _is_remark(words[begin]):
        begin -= 1
    while begin > 1 and words[begin - 1] in _PARTICLES:
        begin -= 1
    return " ".join(words[:begin]), " ".join(words[begin:])


def _is_organization(name: str) -> bool:
    before, _, form = name.replace(",", ", ").rpartition(" ")
    if not before.strip(" ,"):
        return False
    if _bare(form) in _SHORT_LEGAL_FORMS:
        return "." in form or (form.isupper() and not before.isupper())
    return _bare(form) in _LEGAL_FORMS or name.split(" ", 1)[0].casefold() in _LEADING_LEGAL_FORMS


def _is_remark(text: str) -> bool:
    return text.startswith("(") and text.endswith(")")


def _is_suffix(text: str) -> bool:
    return bool(text) and all(_bare(word) in _SUFFIXES for word in text.split())


def _bare(text: str) -> str:
    return text.replace(".", "").casefold()
