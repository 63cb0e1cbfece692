"""Writes the fixtures that ship beside the sources; for use after a change of a source or of its pages.

PYTHONPATH=.:tests .venv/bin/python -m support.record_fixtures

The pages are made in the layout of real ones with invented values (list_pages.py), so nobody's data are in them.
"""

from datetime import date

from support.list_pages import LISTS

from deployments.demo.ministry import pages as demo_pages
from tasks.mofa import sources
from tasks.mofa.page import Page
from tasks.mofa.recording import result_of, write

# When a page of this layout was seen last, and whether it was saved, or only described by others.
SEEN = {
    "australia": (date(2026, 9, 6), "described"),
    "germany": (date(2021, 9, 1), "described"),
    "germany-host": (date(2021, 9, 1), "described"),
    "govuk": (date(2026, 11, 23), "described"),
    "ireland": (date(2024, 8, 1), "described"),
    "japan": (date(2026, 11, 23), "described"),
    "korea": (date(2026, 7, 22), "described"),
    "russia": (date(2015, 3, 19), "saved"),
    "demo": (date(2026, 11, 29), "saved"),  # this project makes its pages
}


def pages_of(name: str) -> list[Page]:
    """The pages of a source that ships."""
    if name == "demo":
        home = sources.source(name).home.removesuffix("/missions")
        return [Page(f"{home}{path}", text, content_type="text/html") for path, text in demo_pages(1).items()]
    return LISTS[name]()[0]


def main() -> None:
    """Write all of them."""
    for name in sources.names():
        source = sources.source(name)
        day, origin = SEEN[name]
        count = write(
            sources.fixture_directory(name), [result_of(source, page) for page in pages_of(name)], day, origin
        )
        print(f"{name}: {count} pages")


if __name__ == "__main__":
    main()
