"""Shows the progress on the run's page in the Prefect UI, and to the listener.

Creating an artifact takes up to half a second, as long as staging 20,000 rows. So a thread does it, at most once a
second, and not for an import that ends within the first second.
"""

import threading
from contextvars import copy_context
from types import TracebackType
from typing import Self

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.exceptions import PrefectException

from tasks.crm.progress import Progress, listener

INTERVAL = 1.0  # seconds


class ProgressBar:
    """Shows the progress of one workbook, as a context manager."""

    def __init__(self, workbook: str) -> None:
        self._workbook = workbook
        self._latest: Progress | None = None
        self._over = threading.Event()
        # In a copy of the context, so that the artifact belongs to this run.
        self._thread = threading.Thread(target=copy_context().run, args=(self._update_regularly,), daemon=True)

    def show(self, progress: Progress) -> None:
        """Show the latest state; returns at once."""
        self._latest = progress
        if report := listener.get():
            report(progress)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(timeout=10)

    def _update_regularly(self) -> None:
        artifact = None
        while not self._over.wait(INTERVAL):
            if self._latest is not None:
                artifact = self._show_on_page(artifact, self._latest)
        if artifact is not None and self._latest is not None:
            self._show_on_page(artifact, self._latest)

    def _show_on_page(self, artifact: object, progress: Progress) -> object:
        percent = 100 * progress.done / progress.total if progress.total else 0.0
        try:
            if artifact is None:
                return create_progress_artifact(min(percent, 100.0), key="import-progress", description=str(progress))
            update_progress_artifact(artifact, min(percent, 100.0), description=str(progress))  # type: ignore[arg-type]
        except (PrefectException, OSError):
            return artifact  # the import goes on without the server
        return artifact
