"""Whole names, split into first and last name."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What follows a name and is no name itself; without dots. Letters that are also names (Ma, Do, Ba) are not among them.
_SUFFIXES = _words("jr sr ii iii iv phd md dds dvm jd esq mba msc bsc cpa cfa dphil llm llb obe mbe cbe")
_LEGAL_FORMS = _words(
    "inc incorporated corp corporation ltd limited llc llp plc pty gmbh mbh kgaa ohg gbr sarl sas sasu srl snc spa bv "
    "nv oyj aps ooo zao oao kft zrt nyrt doo dd sro spzoo eood ead"
)
_DOTTED_LEGAL_FORMS = _words("co sa ag kg se ab as oy sl lp ao ad")  # only with their dots: Li, Se is a person


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
    return " ".join(words[:-1]), words[-1]


def _is_organization(name: str) -> bool:
    before, _, form = name.replace(",", ", ").rpartition(" ")
    dotted = "." in form and _bare(form) in _DOTTED_LEGAL_FORMS
    return bool(before.strip(" ,")) and (dotted or _bare(form) in _LEGAL_FORMS)


def _is_suffix(text: str) -> bool:
    return bool(text) and all(_bare(word) in _SUFFIXES for word in text.split())


def _bare(text: str) -> str:
    return text.replace(".", "").casefold()
