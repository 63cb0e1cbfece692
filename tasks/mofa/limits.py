"""What one crawl may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits of a crawl; the sentence about one that is exceeded names its setting."""

    pages: int = 5_000
    links: int = 10_000  # of a page
    total_mb: int = 1_024  # of all pages that were sent
    seconds: int = 21_600  # with all waiting


DEFAULT = Limits()
