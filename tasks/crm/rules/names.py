"""Splits full names into first and last name."""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What follows a name, without dots. Abbreviations that are also names (Ma, Do, Ba) are not among them.
_SUFFIXES = _words(
    "jr sr ii iii iv phd md dds dvm jd esq mba msc bsc cpa cfa dphil llm llb obe mbe cbe ceo cfo cto coo rn "
    "lcsw pmp cissp mph edd psyd pharmd"
)
_LEGAL_FORMS = _words(
    "inc incorporated corp corporation ltd limited llc llp plc pty gmbh mbh kgaa ohg gbr sarl sas sasu srl snc spa bv "
    "nv oyj aps ooo zao oao kft zrt nyrt doo dd sro spzoo eood ead"
)
# Only with dots or in capitals: "Li, Se" is a person.
_SHORT_LEGAL_FORMS = _words("co sa ag kg se ab as oy sl lp ao ad")
_LEADING_LEGAL_FORMS = _words("ооо оао зао пао тоо тов прат зат")
# Titles, before a name or after a comma. Abbreviations that are also names (Don, Mag, Rev) are not among them.
_TITLES = _words(
    "dr prof professor mr mrs ms miss mx sir dame herr frau hr fr mme mlle monsieur madame sra srta señor señora dott "
    "dottssa dipl-ing dipl-kfm dipl ing ir drs"
)
_OF_TITLES = _words("med dent vet phil rer nat pol oec iur jur theol habil h c hc mult")
# In lower case they are part of the last name: Ludwig von Beethoven, Ana de la Cruz.
_PARTICLES = _words(
    "van von der den de del della di da do dos das du des la le lo los las zu zum zur vom ten ter te af av bin ibn y"
)
_AND = _words("y e i")  # between two last names
_TWO_NAMES = 2  # words: a first and a last name
_BRACKETS = r"\([^()]*\)|\[[^\[\]]*\]|（[^（）]*）"
_REMARK = re.compile(_BRACKETS)
_WORD = re.compile(rf"(?:{_BRACKETS}|[^ ])+")  # a remark such as (née Lee) is one word
_BRACKET = re.compile(r"[()\[\]（）]")
_INITIALS = 2  # capitals that can be initials of first names
_SLASH = re.compile(r"(?<!\b\w)/|/(?!\w\b)")  # but a/l, s/o and c/o are part of a name
# Han, kana and Hangul
_CJK_WORD = "[\u3005\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
_CJK = re.compile(f"{_CJK_WORD} {_CJK_WORD}")


def split_name(name: str | None, *, last_first: bool = False) -> tuple[str | None, str | None]:
    """First and last name of a full name. Of "Last, First" they are known; else the last word is the last name.

    With `last_first` the first word is the last name.

    A title behind a comma ("Lee, Ann, Dr.") is moved before the first name, a suffix ("Jr.", "PhD") stays behind it. In
    Chinese, Japanese or Korean letters the last name is the first word. A name that ends with a legal form
    ("Acme, Inc.") is an organisation and is returned as the last name.

    Raises:
        ValueError: it is not the name of one person.
    """
    if name is None:
        return None, None
    if _is_organization(name):
        return None, name
    if _SLASH.search(name):
        raise ValueError("holds a slash: write the name of one person")
    if _BRACKET.search(_REMARK.sub("", name)):
        raise ValueError("has a bracket without its counterpart: complete it, or remove it")
    parts = [part.strip() for part in _split_at_commas(name)]
    last, *others = filter(None, parts) if any(parts) else [""]
    titles = [part for part in others if _is_title(part)]
    suffixes = [part for part in others if _is_suffix(part)]
    others = [part for part in others if part not in titles + suffixes]
    if len(others) == 1 and not _may_be_letters_behind(last, others[0]):
        first = others[0]
        last, before = _without_titles(last)
        titles = before + titles
    elif others or (" " in last and not all((parts[0], parts[-1]))):
        raise ValueError('has commas and cannot be split into first and last name: write "Last, First" or "First Last"')
    elif not parts[0]:
        first, last = last, ""
    else:
        first, last = _split_words(_WORD.findall(last), suffixes, last_first=last_first or bool(_CJK.fullmatch(last)))
    return " ".join(filter(None, [*titles, first, *suffixes])) or None, last or None


def _split_at_commas(name: str) -> list[str]:
    """The parts of a name between its commas; a comma in a remark divides nothing."""
    masked = _REMARK.sub(lambda remark: remark[0].replace(",", "\0"), name)  # no text that can be stored has a NUL
    return [part.replace("\0", ",") for part in masked.split(",")]


def _split_words(words: list[str], suffixes: list[str], *, last_first: bool) -> tuple[str, str]:
    if last_first:
        end = _end_of_last_name(words)
        return " ".join(words[end:]), " ".join(words[:end])
    while len(words) > _TWO_NAMES and _is_suffix(words[-1]):
        suffixes.insert(0, words.pop())
    begin = len(words) - 1
    while begin and _is_remark(words[begin]):
        begin -= 1
    if begin > 1 and words[begin - 1] in _AND:  # José | Ortega y Gasset
        begin -= 2
    while begin and words[begin - 1] in _PARTICLES:
        begin -= 1
    return " ".join(words[:begin]), " ".join(words[begin:])


def _end_of_last_name(words: list[str]) -> int:
    """How many words the last name has if it comes first."""
    end = next((at for at, word in enumerate(words, 1) if word not in _PARTICLES), len(words))
    return end + 2 if len(words) > end + 1 and words[end] in _AND else end


def _without_titles(name: str) -> tuple[str, list[str]]:
    """The name without the titles before it, and these titles."""
    words = name.split(" ")
    titles = next((at for at, word in enumerate(words) if not _is_title(word)), 0)
    return " ".join(words[titles:]), words[:titles]


def _may_be_letters_behind(name: str, text: str) -> bool:
    """Whether the text is probably an unknown degree, not a first name: "Ann Lee, LCSW"."""
    is_short = len(text) <= _INITIALS
    return " " in name and not name.isupper() and not is_short and text.isalpha() and text.isupper()


def _is_organization(name: str) -> bool:
    before, _, form = name.replace(",", ", ").rpartition(" ")
    if not before.strip(" ,"):
        return False
    if _bare(form) in _SHORT_LEGAL_FORMS:
        return "." in form or (form.isupper() and not before.isupper())
    return _bare(form) in _LEGAL_FORMS or name.partition(" ")[0].casefold() in _LEADING_LEGAL_FORMS


def _is_remark(text: str) -> bool:
    return bool(_REMARK.fullmatch(text))


def _is_title(text: str) -> bool:
    words = [_bare(word) for word in text.split()]
    return words[0] in _TITLES and all(word in _TITLES or word in _OF_TITLES for word in words)


def _is_suffix(text: str) -> bool:
    return bool(text) and all(_bare(word) in _SUFFIXES for word in text.split())


def _bare(text: str) -> str:
    return text.replace(".", "").casefold()
