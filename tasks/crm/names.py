"""Whole names, split into first and last name."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What follows a name and is no name itself; without dots. Letters that are also names (Ma, Do, Ba) are not among them.
_SUFFIXES = _words(
    "jr sr ii iii iv phd md dds dvm jd esq mba msc bsc cpa cfa dphil llm llb obe mbe cbe ceo cfo cto coo rn "
    "lcsw pmp cissp mph edd psyd pharmd"
)
_LEGAL_FORMS = _words(
    "inc incorporated corp corporation ltd limited llc llp plc pty gmbh mbh kgaa ohg gbr sarl sas sasu srl snc spa bv "
    "nv oyj aps ooo zao oao kft zrt nyrt doo dd sro spzoo eood ead"
)
_SHORT_LEGAL_FORMS = _words("co sa ag kg se ab as oy sl lp ao ad")  # with dots or as capitals: Li, Se is a person
_LEADING_LEGAL_FORMS = _words("ооо оао зао пао тоо тов прат зат")
# What stands before a name, or behind it after a comma. Letters that are also names (Don, Mag, Rev) are not among them.
_TITLES = _words(
    "dr prof professor mr mrs ms miss mx sir dame herr frau hr fr mme mlle monsieur madame sra srta señor señora dott "
    "dottssa dipl-ing dipl-kfm dipl ing ir drs"
)
_OF_TITLES = _words("med dent vet phil rer nat pol oec iur jur theol habil h c hc mult")
# Belong to the last name where they are written small: Ludwig von Beethoven, Ana de la Cruz.
_PARTICLES = _words(
    "van von der den de del della di da do dos das du des la le lo los las zu zum zur vom ten ter te af av bin ibn y"
)
_AND = _words("y e i")  # between two last names
_SLASH = re.compile(r"(?<!\b\w)/|/(?!\w\b)")  # a/l, s/o and c/o are no other name
# Han, kana and Hangul
_CJK_WORD = "[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
_CJK = re.compile(f"{_CJK_WORD} {_CJK_WORD}")


def split_name(name: str | None, *, last_first: bool = False) -> tuple[str | None, str | None]:
    """First and last name of a whole one: "Last, First" says it; else the last word, or the first, is the last name.

    A title behind a comma ("Lee, Ann, Dr.") comes before the first name, a suffix ("Jr.", "PhD") stays behind it. In
    Chinese, Japanese or Korean letters the last name is the first word. A name that ends with a legal form
    ("Acme, Inc.") is that of an organisation and stays whole.

    Raises ValueError for what is no name of one person.
    """
    if name is None:
        return None, None
    if _is_organization(name):
        return None, name
    if _SLASH.search(name):
        raise ValueError("holds a slash: write the name of one person")
    parts = [part.strip() for part in name.split(",")]
    last, *others = filter(None, parts) if any(parts) else [""]
    titles = [part for part in others if _is_title(part)]
    suffixes = [part for part in others if _is_suffix(part)]
    others = [part for part in others if part not in titles + suffixes]
    if len(others) == 1 and not _may_be_letters_behind(last, others[0]):
        first = others[0]
        last, before = _without_titles(last)
        titles = before + titles
    elif others or (" " in last and not all((parts[0], parts[-1]))):
        raise ValueError('has commas at which it cannot be divided: write "Last, First" or "First Last"')
    elif not parts[0]:
        first, last = last, ""
    else:
        first, last = _split_words(last.split(" "), suffixes, last_first=last_first or bool(_CJK.fullmatch(last)))
    return " ".join(filter(None, [*titles, first, *suffixes])) or None, last or None


def _split_words(words: list[str], suffixes: list[str], *, last_first: bool) -> tuple[str, str]:
    if last_first:
        end = _end_of_last_name(words)
        return " ".join(words[end:]), " ".join(words[:end])
    while len(words) > 2 and _is_suffix(words[-1]):  # noqa: PLR2004 - a first and a last name remain
        suffixes.insert(0, words.pop())
    begin = len(words) - 1
    while begin > 1 and _is_remark(words[begin]):
        begin -= 1
    if begin > 1 and words[begin - 1] in _AND:  # José | Ortega y Gasset
        begin -= 2
    while begin > 0 and words[begin - 1] in _PARTICLES:
        begin -= 1
    return " ".join(words[:begin]), " ".join(words[begin:])


def _end_of_last_name(words: list[str]) -> int:
    """How many words are the last name where it comes first."""
    end = next((at for at, word in enumerate(words, 1) if word not in _PARTICLES), len(words))
    return end + 2 if len(words) > end + 2 and words[end] in _AND else end


def _without_titles(name: str) -> tuple[str, list[str]]:
    """The name, and the titles that stand before it."""
    words = name.split(" ")
    titles = next((at for at, word in enumerate(words) if not _is_title(word)), 0)
    return " ".join(words[titles:]), words[:titles]


def _may_be_letters_behind(name: str, text: str) -> bool:
    """Whether the text is rather a degree that is not known than a first name: "Ann Lee, LCSW"."""
    return " " in name and not name.isupper() and len(text) > 2 and text.isalpha() and text.isupper()  # noqa: PLR2004


def _is_organization(name: str) -> bool:
    before, _, form = name.replace(",", ", ").rpartition(" ")
    if not before.strip(" ,"):
        return False
    if _bare(form) in _SHORT_LEGAL_FORMS:
        return "." in form or (form.isupper() and not before.isupper())
    return _bare(form) in _LEGAL_FORMS or name.split(" ", 1)[0].casefold() in _LEADING_LEGAL_FORMS


def _is_remark(text: str) -> bool:
    return text.startswith("(") and text.endswith(")")


def _is_title(text: str) -> bool:
    words = [_bare(word) for word in text.split()]
    return words[0] in _TITLES and all(word in _TITLES or word in _OF_TITLES for word in words)


def _is_suffix(text: str) -> bool:
    return bool(text) and all(_bare(word) in _SUFFIXES for word in text.split())


def _bare(text: str) -> str:
    return text.replace(".", "").casefold()
