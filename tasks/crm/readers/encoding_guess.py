"""Ranks the 8-bit and multi-byte encodings of a text, and returns those that remain possible.

chardet ranks encodings by the sequence of letters in some fifty languages. For a list of three names its first result
is often wrong, so the ranking is corrected. Text that people do not write (two scripts in a word, symbols between
letters, capitals inside words) excludes an encoding. The alphabet, the headings and the countries of the e-mail
addresses change its score. If several candidates give different texts and similar scores, all are returned.
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

SAMPLE = 1 << 16  # bytes of lines beyond ASCII that are checked
_CLEAR = 1.2  # ratio of the best score to the next one with a different text, to be certain
_CLEAR_OF_FEW = 1.6  # the same if there are few words beyond ASCII
_FEW = 6
_FAR_BEHIND = 0.5  # of the best score: below it an encoding is not a candidate
_ODD_SHARE = 0.005  # of the words beyond ASCII that may be odd
_ODD = 0.7  # factor of the score for each of them
_STRICT = 4  # power of the share of letters that belong to one language
_LEAST = 0.002  # score of a candidate that chardet does not name
# How common an encoding is today: the weight of the first prefix that fits.
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
_MAX_CANDIDATES = 4
_SPELLED = list(dict.fromkeys(codec for language in LANGUAGES if language.letters for codec in language.codecs))
# Natural logarithms of likelihoods:
_CLEARLY = 6.0  # distance of the best to the next one with a different text, to be certain
_OF_USE = 4.0  # weight of how common an encoding is
_ODD_PLACE = 8.0  # penalty for one
_MAX_WORD_SCORE = 5.0  # maximum for one word, so that a single unusual word does not decide
_MIXED_SHARE = 0.1  # of the words: if more are against the encoding of the others, the text is mixed
_MAX_WORDS = 100  # that differ and are compared
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
    r"|\b[\u03ac-\u03ce\u0430-\u045f][\u0386-\u03ab\u0400-\u042f]{2}"  # Windows-1251 decoded as KOI8, or the reverse
    r"|ã[a-df-hj-npqrt-z]|\bç[b-df-hj-np-tv-xz]"  # not in Western languages
    r"|[aeo]è(?![l\W])|è[aeio]|È[aeiou]|[a-z]iè\b|[aeio]æ\b|ø[áéíý]|[áéíý]ø|ì[a-zß-ÿ]"
    "|[\u0100-\u017f][À-Þ]|[À-ÖØ-öø-\u017f]{5}"
)


class Candidate(NamedTuple):
    """An encoding that the text may be in."""

    codec: str  # Python's name
    score: float

    @property
    def label(self) -> str:
        """Its common name."""
        return LABELS[self.codec]


def candidates(lines: list[bytes], heading: bytes, tokens: list[bytes]) -> list[Candidate]:
    """The possible encodings, best first. One: it is certain. None: each gives words that people do not write.

    Args:
        lines: lines of the text that hold bytes beyond ASCII, at most about SAMPLE bytes.
        heading: the first line that is not blank.
        tokens: the different words of the whole text with bytes beyond ASCII.
    """
    sample = b"\n".join(lines)
    detected, domains = _detected(sample), _domains([*lines, heading])
    scored: dict[str, Candidate] = {}  # text -> the most common encoding that gives it
    for codec in LABELS:
        text = _decoded(sample, codec)
        if text is None or not is_plausible(odd := odd_places(found := tokens_beyond_ascii(text)), len(found)):
            continue
        words = words_beyond_ascii(text)
        score = max(detected.get(codec, 0), _LEAST) * _usual(codec) * _fitting(words, codec, domains) * _ODD**odd
        score *= _heading_evidence(heading, codec) * _domain_evidence(domains, codec)
        same = scored.get(text)
        usual = codec if same is None or _usual(codec) > _usual(same.codec) else same.codec
        scored[text] = Candidate(usual, max(score, same.score if same else 0))
    ranked = sorted(scored.values(), key=lambda candidate: -candidate.score)
    if not ranked:
        return []
    if ranked[0].codec in _SPELLED:
        others = [each for each in ranked if each.codec not in _SPELLED and each.score * _CLEAR > ranked[0].score]
        evidence = {codec: _heading_evidence(heading, codec) * _domain_evidence(domains, codec) for codec in _SPELLED}
        return (_by_words(ranked[0].codec, tokens, evidence) + others)[:_MAX_CANDIDATES]
    clear = _CLEAR if len(words_beyond_ascii(sample.decode(ranked[0].codec))) >= _FEW else _CLEAR_OF_FEW
    if len(ranked) == 1 or ranked[0].score >= clear * ranked[1].score:
        return ranked[:1]
    return [candidate for candidate in ranked if candidate.score > _FAR_BEHIND * ranked[0].score][:_MAX_CANDIDATES]


def _by_words(best: str, tokens: list[bytes], evidence: Mapping[str, float]) -> list[Candidate]:
    """The encoding in which the words that differ are the likeliest, and those that come close to it.

    Args:
        best: the encoding to compare with first.
        tokens: of the whole text.
        evidence: of the headings and the domains for each encoding, from 1 on.
    """
    joined = b"\n".join(tokens)
    read = {codec: text for codec in _SPELLED if (text := _decoded(joined, codec)) is not None}
    usual = dict[str, str]()  # text -> the most common encoding that gives it
    for codec in sorted(read, key=_usual, reverse=True):
        usual.setdefault(read[codec], codec)
    if best not in read:
        best = max(read, key=_usual, default="")
    if not best:
        return []
    best = usual[read[best]]
    texts = {codec: text.split("\n") for text, codec in usual.items()}
    likely = {codec: Likelihood(each[:: len(each) // _MAX_WORDS + 1]) for codec, each in texts.items()}
    before = {codec: _OF_USE * log(_usual(codec)) + log(evidence[codec]) for codec in texts}
    rivals, close = set(texts) - {best}, dict[str, float]()
    while rivals:
        rival = max(rivals, key=lambda codec: before[codec])
        rivals.remove(rival)
        gap = before[best] - before[rival]
        gap += _difference(texts[best], texts[rival], likely[best], likely[rival])
        if gap <= -_CLEARLY:  # compare the new best one with those that came close to the old one
            rivals |= close.keys()
            close.clear()
            best = rival
        elif gap < _CLEARLY:
            close[rival] = -gap
    return sorted([Candidate(best, 0.0), *starmap(Candidate, close.items())], key=lambda each: -each.score)


def _difference(texts: list[str], others: list[str], likely: Likelihood, other_likely: Likelihood) -> float:
    """The logarithm of how much likelier the texts are than the others, of those that differ.

    0 if many are clearly likelier in the one and many in the other: lists in two encodings that were put together.
    """
    different = [(text, other) for text, other in zip(texts, others, strict=True) if text != other]
    gaps = [
        max(-_MAX_WORD_SCORE, min(_MAX_WORD_SCORE, likely.of(text) - other_likely.of(other)))
        + _ODD_PLACE * (odd_places([other]) - odd_places([text]))
        for text, other in different[:: len(different) // _MAX_WORDS + 1]
    ]
    either = min(sum(gap >= _MAX_WORD_SCORE for gap in gaps), sum(gap <= -_MAX_WORD_SCORE for gap in gaps))
    return 0.0 if either > max(1, _MIXED_SHARE * len(gaps)) else sum(gaps)


def tokens_beyond_ascii(text: str) -> set[str]:
    """The different words with a character beyond ASCII."""
    return {token for token in text.split() if not token.isascii()}


def odd_places(tokens: Iterable[str]) -> int:
    """How many places in the words people would not write."""
    return sum(1 for token in tokens for _ in _ODD_PLACES.finditer(token))


def words_beyond_ascii(text: str) -> list[str]:
    """The words of the text with a letter beyond ASCII."""
    return [word for word in _WORD.findall(text) if not word.isascii()]


def is_plausible(odd: int, tokens: int) -> bool:
    """Whether the share of odd places is small enough."""
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
    """The confidence of chardet in each encoding, by Python's name."""
    import chardet  # noqa: PLC0415 - takes time, and most texts are UTF-8

    names = {_normal(codec): codec for codec in LABELS}
    confidence: dict[str, float] = {}
    for each in chardet.detect_all(sample, ignore_threshold=True, max_bytes=SAMPLE):
        codec = names.get(_normal(each["encoding"] or ""))
        if codec:
            confidence[codec] = max(confidence.get(codec, 0), each["confidence"])
    return confidence


_SUBSETS = {"iso88591": "iso885915", "tis620": "cp874", "koi8r": "koi8u", "shiftjis": "cp932", "euckr": "cp949"}


@cache
def _normal(name: str) -> str:
    """The name of an encoding without variations; for a subset, the name of the encoding that includes it."""
    name = re.sub("[-_]", "", name.lower()).replace("windows", "cp").replace("ibm", "cp")
    return _SUBSETS.get(name, name)


def _usual(codec: str) -> float:
    return next((weight for prefix, weight in _USUAL.items() if codec.startswith(prefix)), _UNUSUAL)


def _fitting(words: list[str], codec: str, domains: Counter[str]) -> float:
    """How well the letters beyond ASCII fit one language of this encoding, from 0 to 1.

    Icelandic counts only with an Icelandic e-mail address, because Turkish and Baltic letters decoded as Windows-1252
    look like it.
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


def _domain_evidence(domains: Counter[str], codec: str) -> float:
    """The evidence of the countries of the e-mail addresses for the encoding, from 1 to 3."""
    known = {country for language in LANGUAGES for country in language.countries.split()}
    own = {each for language in LANGUAGES if codec in language.codecs for each in language.countries.split()}
    total = sum(number for domain, number in domains.items() if domain in known)
    return 1 + 2 * sum(domains[country] for country in own) / total if total else 1.0


def _heading_evidence(heading: bytes, codec: str) -> float:
    """The evidence of the headings for the encoding, from 1 to 3: how many are words of one of its languages."""
    words = set(folded_words(heading.decode(codec, "replace")))
    own = [language for language in LANGUAGES if codec in language.codecs]
    known = max((len(words & set(language.headings.split())) for language in own), default=0)
    return 1 + 0.5 * min(known, 4)
