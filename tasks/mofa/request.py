"""What is requested of a ministry's server: an address, and for POST the fields of a form.

A request has one text, its address. Snapshots, links and log lines use it. For GET it is the URL; for POST the form
follows as a fragment, which no server receives, so that each page of a list that is requested by POST has an address
of its own, and the address still opens the list in a browser.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl, urldefrag, urlencode

_POST = "POST&"  # how the fragment of a request by POST begins


@dataclass(frozen=True)
class Request:
    """One request. `form` is sent urlencoded, in this order."""

    url: str
    method: str = "GET"
    form: tuple[tuple[str, str], ...] = ()

    @classmethod
    def post(cls, url: str, form: Mapping[str, str]) -> Self:
        """A request by POST with these fields."""
        return cls(url, "POST", tuple(form.items()))

    @classmethod
    def of(cls, address: str) -> Self:
        """The request that has this address."""
        url, fragment = urldefrag(address)
        if not fragment.startswith(_POST):
            return cls(url)
        return cls(url, "POST", tuple(parse_qsl(fragment.removeprefix(_POST), keep_blank_values=True)))

    @property
    def address(self) -> str:
        """The text by which the request is known: equal texts are equal requests."""
        return self.url if self.method == "GET" else f"{self.url}#{_POST}{urlencode(self.form)}"
