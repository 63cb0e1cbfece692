"""Reads the elements of a file of XML that holds several sheets."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

Elements = Iterator[tuple[str, Any]]  # "start" or "end", and the element


class SheetElements:
    """The elements of each sheet. Sheets that are read in the order of the file take one pass through it.

    Args:
        begin: the elements of the file from its beginning.
        is_sheet: whether an element is a sheet.
    """

    def __init__(self, begin: Callable[[], Elements], is_sheet: Callable[[Any], bool]) -> None:
        self._begin, self._is_sheet = begin, is_sheet
        self._elements: Elements = iter(())
        self._sheet = sys.maxsize  # the last one that has begun; maxsize: read from the beginning
        self._reader = 0  # number of the one that reads

    def of(self, sheet: int) -> Elements:
        """The elements of a sheet, counted from 0. Elements of a sheet that was read before cannot be read any more."""
        if self._sheet >= sheet:
            self._elements, self._sheet = self._begin(), -1
        self._reader += 1
        reader = self._reader
        try:
            for event, element in self._elements:
                if self._is_sheet(element):
                    if event == "end" and self._sheet == sheet:
                        return
                    self._sheet += event == "start"
                elif self._sheet == sheet:
                    yield event, element
                    if reader != self._reader:
                        raise RuntimeError("another sheet was opened")  # noqa: TRY301 - a mistake of ours
        except Exception:
            self._sheet = sys.maxsize
            raise
        self._sheet = sys.maxsize
