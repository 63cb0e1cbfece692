"""The pages of a source in the database: the archive of a crawl."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from db import embassies as table
from db.engine import transaction
from tasks.mofa.crawl import StoredPage
from tasks.mofa.embassy import from_json, to_json
from tasks.mofa.http import Validators
from tasks.mofa.page import Page, Source
from tasks.mofa.reading import Reading


class DatabaseArchive:
    """The snapshots of one source; each call is a transaction of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def newest(self) -> Mapping[str, StoredPage]:
        """Of every address of the source the page that was read last."""
        with transaction() as connection:
            found = table.newest_snapshots(connection, self._source.name)
        return {
            url: StoredPage(
                id=each.id,
                sha256=each.sha256,
                etag=each.etag,
                last_modified=each.last_modified,
                version=each.version,
                reading=Reading(each.links, [from_json(entry) for entry in each.records]),
                fetched_at=each.fetched_at,
                verified_at=each.verified_at,
            )
            for url, each in found.items()
        }

    def load(self, snapshot: int) -> Page:
        """A page that was kept."""
        with transaction() as connection:
            return page_of(table.body(connection, snapshot))

    def keep(self, page: Page, reading: Reading) -> int:
        """Keep a page that was read; the id of its snapshot."""
        return self._keep(page, self._source.version, reading)

    def keep_unparsed(self, page: Page) -> int:
        """Keep a page that could not be read, for a person to look at; the id of its snapshot."""
        return self._keep(page, table.UNPARSED, Reading([], []))

    def _keep(self, page: Page, version: str, reading: Reading) -> int:
        at = page.fetched_at or datetime.now(UTC)
        new = table.NewPage(
            url=page.url,
            sha256=page.sha256,
            etag=page.etag,
            last_modified=page.last_modified,
            content_type=page.content_type,
            body=page.text,
            version=version,
            links=reading.links,
            records=[to_json(entry) for entry in reading.entries],
        )
        with transaction() as connection:
            return table.keep_page(connection, self._source.name, new, at)

    def replace_reading(self, snapshot: int, reading: Reading) -> None:
        """Replace what an older parser read."""
        records = [to_json(entry) for entry in reading.entries]
        with transaction() as connection:
            table.reread_page(connection, snapshot, self._source.version, reading.links, records)

    def renew_validators(self, snapshot: int, validators: Validators) -> None:
        """What to ask with next time whether the page is still the same."""
        with transaction() as connection:
            table.renew_validators(connection, snapshot, validators.etag, validators.last_modified)

    def mark_verified(self, snapshots: Sequence[int]) -> None:
        """The server said that these pages are unchanged."""
        with transaction() as connection:
            table.verify_pages(connection, snapshots, datetime.now(UTC))


def page_of(stored: Mapping[Any, Any]) -> Page:
    """A stored page, for its parser."""
    return Page(stored["url"], stored["body"], content_type=stored["content_type"])
