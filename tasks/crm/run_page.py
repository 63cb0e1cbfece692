"""The progress bar on the run's page in the Prefect UI, and whoever else listens.

Making an artifact takes up to half a second, as long as 20,000 rows: a thread of its own does it, at most once a
second, and not at all for an import that is over before.
"""

import threading
from contextvars import copy_context
from types import TracebackType
from typing import Self

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from tasks.crm.progress import Progress, listener

EVERY = 1.0  # seconds


class ProgressBar:
    """Shows the progress of one workbook, as a context manager."""

    def __init__(self, workbook: str) -> None:
        self._workbook = workbook
        self._latest: Progress | None = None
        self._over = threading.Event()
        # The artifact belongs to the run in whose context it is made.
        self._thread = threading.Thread(target=copy_context().run, args=(self._keep_up,), daemon=True)

    def show(self, progress: Progress) -> None:
        """The latest state; returns at once."""
        self._latest = progress
        if tell := listener.get():
            tell(progress)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(timeout=10)

    def _keep_up(self) -> None:
        artifact = None
        while not self._over.wait(EVERY):
            if self._latest is not None:
                artifact = self._draw(artifact, self._latest)
        if artifact is not None and self._latest is not None:
            self._draw(artifact, self._latest)

    def _draw(self, artifact: object, progress: Progress) -> object:
        percent = 100 * progress.done / progress.total if progress.total else 0.0
        try:
            if artifact is None:
                return create_progress_artifact(min(percent, 100.0), key="import-progress", description=str(progress))
            update_progress_artifact(artifact, min(percent, 100.0), description=str(progress))  # type: ignore[arg-type]
        except (PrefectException, OSError):
            return artifact  # a server that is away stops no import
        return artifact
