"""Computes how likely a text is as a name in some language, to compare the same bytes in two encodings.

`words.txt` has words of each language with its accented letters. They show which letters are beside these: "Kováč" is
a likely Czech name; "Kováè", the same bytes in Windows-1252, is likely in no language.
"""

import re
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from math import log
from pathlib import Path

_PATH = Path(__file__).with_name("words.txt")  # a line for each language: its name, a colon, words
_PART = re.compile(r"[^\W\d_²³¹¼½¾ºª]+|[^\x00-\x7f]")
# Signs in their usual places: £50, § 7, 2½, 40 m², 3º, Nº 7.
_IN_PLACE = re.compile(r"£(?= ?\d)|§(?= ?\d)|(?<![^\W\d½¼¾])[½¼¾](?!\w)|(?<=m)[²³](?!\w)|(?<=[\dNn])[ºª](?!\w)")
_LETTERS = 40  # of an alphabet, about; for the likelihood of a pair of letters that does not occur
_TRUST = 3.0  # how often a pair of letters must occur to count more than its single letters
_SIGN = -1.0  # for a sign in its place
_SYMBOL = -7.0  # for a character beyond ASCII that is no letter
_CONTROL = -20.0  # for a control character
_UNSEEN = 0.5  # words of each language that every list is assumed to have
_PUNCTUATION = {"’": -2.0} | dict.fromkeys("‘“”„«»·°", -4.0)  # for typographic characters


class _Language:
    """How often letters follow each other in the words of one language."""

    def __init__(self, words: list[str]) -> None:
        self._threes, self._twos, self._ones = Counter[str](), Counter[str](), Counter[str]()
        self._after_two, self._after_one = Counter[str](), Counter[str]()
        for word in words:
            text = f"  {word.lower()} "
            for at in range(2, len(text)):
                self._threes[text[at - 2 : at + 1]] += 1
                self._twos[text[at - 1 : at + 1]] += 1
                self._ones[text[at]] += 1
                self._after_two[text[at - 2 : at]] += 1
                self._after_one[text[at - 1]] += 1
        self._total = self._ones.total()
        self.letters = frozenset(self._ones)

    def likelihood(self, word: str) -> float:
        """The logarithm of the probability of the word: of each letter after the two before it."""
        text, found = f"  {word} ", 0.0
        for at in range(2, len(text)):
            one = (self._ones[text[at]] + 0.05) / (self._total + 0.05 * _LETTERS)
            two = (self._twos[text[at - 1 : at + 1]] + _TRUST * one) / (self._after_one[text[at - 1]] + _TRUST)
            before = text[at - 2 : at]
            three = (self._threes[text[at - 2 : at + 1]] + _TRUST * two) / (self._after_two[before] + _TRUST)
            found += log(three)
        return found


@cache
def _languages() -> tuple[_Language, ...]:
    lines = _PATH.read_text(encoding="utf-8").splitlines()
    return tuple(_Language(line.partition(":")[2].split()) for line in lines if line and not line.startswith("#"))


class Likelihood:
    """Computes how likely texts are in the languages of one list."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Count the words of the list in each language, by the one that a word fits best."""
        words = [word for text in texts for word in _words(text)]
        counts = Counter(max(fits, key=lambda language: fits[language]) for fits in map(_fits, words))
        whole = counts.total() + _UNSEEN * len(_languages())
        self._weights = [log((counts[language] + _UNSEEN) / whole) for language in range(len(_languages()))]

    def of(self, text: str) -> float:
        """The logarithm of how likely the text is, each of its words in the language that it fits best."""
        text, signs = _IN_PLACE.subn("", text)
        found = signs * _SIGN
        for part in _PART.findall(text):
            if _is_word(part):
                found += max(fit + self._weights[language] for language, fit in _fits(part.lower()).items())
            else:
                found += _CONTROL if part < "\xa0" else _PUNCTUATION.get(part, _SYMBOL)
        return found


def _words(text: str) -> list[str]:
    return [part.lower() for part in _PART.findall(text) if _is_word(part) and not part.isascii()]


def _is_word(part: str) -> bool:
    return part.isalpha() and part not in "ºª"


@lru_cache(maxsize=100_000)
def _fits(word: str) -> dict[int, float]:
    """The likelihood of a word in each of the languages that have its letters; if none has, in all."""
    accented = {letter for letter in word if letter > "\x7f"}
    own = [at for at, language in enumerate(_languages()) if accented <= language.letters]
    return {at: _languages()[at].likelihood(word) for at in own or range(len(_languages()))}
