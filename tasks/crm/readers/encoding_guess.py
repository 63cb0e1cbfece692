"""Which 8-bit or multi-byte encoding a text is in, or which candidates are left.

chardet ranks the encodings by how letters follow each other in some fifty languages. On a list of three names its
first guess is often wrong, so the ranking is checked: what a person would not write (two scripts in a word, symbols
between letters, capitals inside words) rules an encoding out; an alphabet, the headings and the countries of the
e-mail addresses raise or lower it. Of candidates that read differently and score alike all are returned: nobody
guesses between them.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import starmap
from math import log
from typing import NamedTuple

from tasks.crm.readers.encoding_words import Likelihood
from tasks.crm.readers.languages import FREQUENT, LABELS, LANGUAGES

SAMPLE = 1 << 16  # bytes of lines beyond ASCII that are looked at
_CLEAR = 1.2  # how much better the best has to be than the next that reads differently
_CLEAR_OF_FEW = 1.6  # where there are few words beyond ASCII
_FEW = 6
_FAR_BEHIND = 0.5  # of the best: no candidate any more
_ODD_SHARE = 0.005  # of the words beyond ASCII that may be odd
_ODD = 0.7  # what each of them leaves of the score
_STRICT = 4  # power of the share of letters that belong to one language
_LEAST = 0.002  # score of a candidate that the detector does not name
# How usual an encoding is in files of today, all else being equal; the first prefix that fits.
_USUAL = {
    "cp1250": 0.75,
    "cp1254": 0.75,
    "cp1257": 0.65,
    "cp125": 1.0,
    "cp874": 1.0,
    "iso8859-13": 0.4,
    "iso8859-2": 0.55,
    "iso": 0.7,
}
_USUAL |= {"koi8-": 0.6, "mac-roman": 0.5, "cp850": 0.5, "mac-latin2": 0.3} | dict.fromkeys(FREQUENT, 1.0)
_UNUSUAL = 0.4
_MOST_CANDIDATES = 4
_SPELLED = list(dict.fromkeys(codec for language in LANGUAGES if language.letters for codec in language.codecs))
# What follows is in natural logarithms of likelihoods.
_CLEARLY = 6.0  # how far the best has to be ahead of what reads differently
_OF_USE = 4.0  # weight of how usual an encoding is
_ODD_PLACE = 8.0  # what one costs
_MOST_OF_A_WORD = 5.0  # more than one word tells the encoding, unless it is unusual
_MIXED_SHARE = 0.1  # of the words that speak against the encoding of the others
_MOST_WORDS = 100  # that read differently and are looked at
_DOMAIN = re.compile(rb"@[A-Za-z0-9_.-]+\.([A-Za-z]{2})(?![A-Za-z0-9.-])")
_WORD = re.compile(r"[^\W\d_]+")

_LATIN = "A-Za-zªºÀ-ÖØ-öø-\u024f\u1e00-\u1eff"
_OTHERS = "\u0370-\u03ff\u0400-\u052f\u0530-\u058f\u0590-\u05ff\u0600-\u06ff\u0e00-\u0e7f"  # Greek to Thai
_EAST = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f"
_CAPITALS = "À-ÖØ-ÞĀĂĄĆČĎĐĒĔĖĘĚĞĢĪĮİĶĹĻĽŁŃŅŇŌŐŒŔŖŘŚŞŠŢŤŪŮŰŲŸŹŻŽ"  # beyond ASCII
_HALF = "\uff66-\uff9f"  # katakana of half width
_SYMBOLS = (
    "\u00a1-\u00a9\u00ab-\u00b1\u00b4-\u00b6\u00b8\u00b9\u00bb-\u00bf×÷\u02c6-\u02dd"
    "\u2018-\u203a\u20ac\u2122\u2190-\u25ff"
)
_NOT_BESIDE_LETTERS = (
    "\u00a1-\u00a6\u00a8\u00ac\u00ad\u00af\u00b1\u00b5\u00b6\u00b8\u00b9\u00bc-\u00be¿×÷\u02c6-\u02dd\u2020-\u2022\u2030"
    "\u2190-\u25ff"
)
_ODD_PLACES = re.compile(
    "[\u0080-\u009f\ue000-\uf8ff\ufffd]"  # controls; no characters
    f"|[{_LATIN}][{_OTHERS}]|[{_OTHERS}][{_LATIN}]"  # two scripts in one word
    f"|[a-z][{_EAST}]|[{_EAST}][a-z]|(?<![{_HALF}])[{_HALF}](?![{_HALF}])"
    f"|[{_LATIN}{_OTHERS}](?![\u2018\u2019\u201b·´])[{_SYMBOLS}][{_LATIN}{_OTHERS}]"  # a symbol inside a word
    f"|[{_LATIN}{_OTHERS}{_EAST}][{_NOT_BESIDE_LETTERS}]|[{_NOT_BESIDE_LETTERS}][{_LATIN}{_OTHERS}{_EAST}]"
    f"|[©®°§][{_LATIN}{_OTHERS}]|[{_LATIN}][\u2013\u2014\u2026][a-zß-öø-ÿ]"
    f"|[a-zß-öø-ÿ][{_CAPITALS}]|[A-ZÀ-ÖØ-Þ][{_CAPITALS}][a-zß-öø-ÿ]"  # a capital inside a word
    "|[ß-öø-ÿ][A-Z][a-z]|[а-яё][А-ЯЁ][а-яё]*[А-ЯЁ]"
    r"|\b[\u03ac-\u03ce\u0430-\u045f][\u0386-\u03ab\u0400-\u042f]{2}"  # as KOI8 shows Windows-1251, and the reverse
    r"|ã[a-df-hj-npqrt-z]|\bç[b-df-hj-np-tv-xz]"  # no language of the West has these
    r"|[aeo]è(?![l\W])|è[aeio]|È[aeiou]|[a-z]iè\b|[aeio]æ\b|ø[áéíý]|[áéíý]ø|ì[a-zß-ÿ]"
    "|[\u0100-\u017f][À-Þ]|[À-ÖØ-öø-\u017f]{5}"
)


class Candidate(NamedTuple):
    """An encoding that the text may be in."""

    codec: str  # Python's name
    score: float

    @property
    def label(self) -> str:
        """What people call it."""
        return LABELS[self.codec]


def candidates(lines: list[bytes], heading: bytes, tokens: list[bytes]) -> list[Candidate]:
    """The encodings that fit, best first; one: it is clear; none: every one of them makes odd words.

    Args:
        lines: lines of the text that hold bytes beyond ASCII, at most about SAMPLE bytes.
        heading: the first line that is not blank.
        tokens: what stands between blanks and delimiters in all of the text and holds bytes beyond ASCII, each once.
    """
    sample = b"\n".join(lines)
    said, domains = _detected(sample), _domains([*lines, heading])
    scored: dict[str, Candidate] = {}  # text -> the encoding that is most usual for it
    for codec in LABELS:
        text = _decoded(sample, codec)
        if text is None or not is_plausible(odd := odd_places(found := tokens_beyond_ascii(text)), len(found)):
            continue
        words = words_beyond_ascii(text)
        score = max(said.get(codec, 0), _LEAST) * _usual(codec) * _fitting(words, codec, domains) * _ODD**odd
        score *= _told_by_headings(heading, codec) * _told_by_domains(domains, codec)
        same = scored.get(text)
        usual = codec if same is None or _usual(codec) > _usual(same.codec) else same.codec
        scored[text] = Candidate(usual, max(score, same.score if same else 0))
    ranked = sorted(scored.values(), key=lambda candidate: -candidate.score)
    if not ranked:
        return []
    if ranked[0].codec in _SPELLED:
        others = [each for each in ranked if each.codec not in _SPELLED and each.score * _CLEAR > ranked[0].score]
        told = {codec: _told_by_headings(heading, codec) * _told_by_domains(domains, codec) for codec in _SPELLED}
        return (_by_words(ranked[0].codec, tokens, told) + others)[:_MOST_CANDIDATES]
    clear = _CLEAR if len(words_beyond_ascii(sample.decode(ranked[0].codec))) >= _FEW else _CLEAR_OF_FEW
    if len(ranked) == 1 or ranked[0].score >= clear * ranked[1].score:
        return ranked[:1]
    return [candidate for candidate in ranked if candidate.score > _FAR_BEHIND * ranked[0].score][:_MOST_CANDIDATES]


def _by_words(best: str, tokens: list[bytes], told: Mapping[str, float]) -> list[Candidate]:
    """The encoding in which the words that read differently are the likeliest, and those that come close to it.

    Args:
        best: the encoding to compare with first.
        tokens: of all of the text.
        told: how much the headings and the domains speak for an encoding, from 1 on.
    """
    joined = b"\n".join(tokens)
    read = {codec: text for codec in _SPELLED if (text := _decoded(joined, codec)) is not None}
    usual = dict[str, str]()  # text -> the most usual of the encodings that read it so
    for codec in sorted(read, key=_usual, reverse=True):
        usual.setdefault(read[codec], codec)
    if best not in read:
        best = max(read, key=_usual, default="")
    if not best:
        return []
    best = usual[read[best]]
    texts = {codec: text.split("\n") for text, codec in usual.items()}
    likely = {codec: Likelihood(each[:: len(each) // _MOST_WORDS + 1]) for codec, each in texts.items()}
    before = {codec: _OF_USE * log(_usual(codec)) + log(told[codec]) for codec in texts}
    rivals, close = set(texts) - {best}, dict[str, float]()
    while rivals:
        rival = max(rivals, key=lambda codec: before[codec])
        rivals.remove(rival)
        gap = before[best] - before[rival]
        gap += _difference(texts[best], texts[rival], likely[best], likely[rival])
        if gap <= -_CLEARLY:  # what came close to the one that is beaten is compared with the new one
            rivals |= close.keys()
            close.clear()
            best = rival
        elif gap < _CLEARLY:
            close[rival] = -gap
    return sorted([Candidate(best, 0.0), *starmap(Candidate, close.items())], key=lambda each: -each.score)


def _difference(texts: list[str], others: list[str], likely: Likelihood, other_likely: Likelihood) -> float:
    """By how much (a logarithm) the texts are likelier than the others, over those that are not the same.

    0 where many speak clearly for the one and many for the other: lists of two encodings that were put together.
    """
    different = [(text, other) for text, other in zip(texts, others, strict=True) if text != other]
    gaps = [
        max(-_MOST_OF_A_WORD, min(_MOST_OF_A_WORD, likely.of(text) - other_likely.of(other)))
        + _ODD_PLACE * (odd_places([other]) - odd_places([text]))
        for text, other in different[:: len(different) // _MOST_WORDS + 1]
    ]
    either = min(sum(gap >= _MOST_OF_A_WORD for gap in gaps), sum(gap <= -_MOST_OF_A_WORD for gap in gaps))
    return 0.0 if either > max(1, _MIXED_SHARE * len(gaps)) else sum(gaps)


def tokens_beyond_ascii(text: str) -> set[str]:
    """What stands between blanks and holds a character beyond ASCII; each once, because names stand often."""
    return {token for token in text.split() if not token.isascii()}


def odd_places(tokens: Iterable[str]) -> int:
    """How many places no person would write so."""
    return sum(1 for token in tokens for _ in _ODD_PLACES.finditer(token))


def words_beyond_ascii(text: str) -> list[str]:
    """The words of the text that hold a letter beyond ASCII."""
    return [word for word in _WORD.findall(text) if not word.isascii()]


def is_plausible(odd: int, tokens: int) -> bool:
    """Whether so many odd places are few among so many tokens."""
    return odd <= _ODD_SHARE * tokens


def folded_words(text: str) -> list[str]:
    """Words in lower case without accents."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    return re.findall(r"[\w'-]+", unicodedata.normalize("NFC", plain))


def knows_headings(line: str) -> bool:
    """Whether at least two words of the line are words of headings in one language."""
    words = set(folded_words(line))
    return any(len(words & set(language.headings.split())) > 1 for language in LANGUAGES)


def _decoded(sample: bytes, codec: str) -> str | None:
    try:
        return sample.decode(codec)
    except UnicodeDecodeError:
        return None


def _detected(sample: bytes) -> dict[str, float]:
    """What chardet says of each encoding, by Python's name."""
    import chardet  # noqa: PLC0415 - only for text that is no UTF-8

    names = {_normal(codec): codec for codec in LABELS}
    said: dict[str, float] = {}
    for each in chardet.detect_all(sample, ignore_threshold=True, max_bytes=SAMPLE):
        codec = names.get(_normal(each["encoding"] or ""))
        if codec:
            said[codec] = max(said.get(codec, 0), each["confidence"])
    return said


_SUBSETS = {"iso88591": "iso885915", "tis620": "cp874", "koi8r": "koi8u", "shiftjis": "cp932", "euckr": "cp949"}


@cache
def _normal(name: str) -> str:
    """An encoding's name without its variations; of a subset that of what contains it."""
    name = re.sub("[-_]", "", name.lower()).replace("windows", "cp").replace("ibm", "cp")
    return _SUBSETS.get(name, name)


def _usual(codec: str) -> float:
    return next((weight for prefix, weight in _USUAL.items() if codec.startswith(prefix)), _UNUSUAL)


def _fitting(words: list[str], codec: str, domains: Counter[str]) -> float:
    """How well the letters beyond ASCII belong to one language of this encoding, from 0 to 1.

    Few write Icelandic, whose letters are what Windows-1252 makes of Turkish and Baltic ones: an address has to tell.
    """
    letters = Counter(letter for word in words for letter in word.lower() if letter > "\x7f")
    total = letters.total()
    if not total:
        return 1.0
    if codec in FREQUENT:
        return 0.2 + 0.8 * sum(letters[letter] for letter in set(FREQUENT[codec])) / total
    own = [language for language in LANGUAGES if codec in language.codecs]
    alphabets = {each.letters for each in own if each.countries != "is" or domains["is"]}
    if "" in alphabets or not alphabets:
        return 1.0
    return max(sum(letters[letter] for letter in alphabet) / total for alphabet in alphabets) ** _STRICT + _LEAST


def _domains(lines: Iterable[bytes]) -> Counter[str]:
    return Counter(found.decode().lower() for line in lines for found in _DOMAIN.findall(line))


def _told_by_domains(domains: Counter[str], codec: str) -> float:
    """From 1 to 3: whether the countries of the e-mail addresses are those of the encoding."""
    known = {country for language in LANGUAGES for country in language.countries.split()}
    own = {each for language in LANGUAGES if codec in language.codecs for each in language.countries.split()}
    total = sum(number for domain, number in domains.items() if domain in known)
    return 1 + 2 * sum(domains[country] for country in own) / total if total else 1.0


def _told_by_headings(heading: bytes, codec: str) -> float:
    """From 1 to 3: whether the headings, read so, are words of a language of the encoding."""
    words = set(folded_words(heading.decode(codec, "replace")))
    own = [language for language in LANGUAGES if codec in language.codecs]
    known = max((len(words & set(language.headings.split())) for language in own), default=0)
    return 1 + 0.5 * min(known, 4)
