"""`step`: a Prefect task that retries a TransientError, and ends with one plain sentence at any other JobError.

A task that raises logs two tracebacks. So a step returns a Failed state with the sentence, and `run` raises that as a
JobError in the flow.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from prefect import State, Task, task
from prefect.exceptions import FailedRun
from prefect.runtime import task_run
from prefect.states import Failed

from db.errors import JobError, TransientError

T = TypeVar("T")
DELAYS = (0.5, 1, 2, 4)  # seconds before each further attempt
RESULTS = "embassy-jobs"  # start of every cache key, and so the directory of our results in the shared storage


def step(*, delays: Sequence[float] = DELAYS, **options: Any) -> Callable[[Callable[..., T]], Task[..., T]]:
    """A task that retries a TransientError after each of `delays` seconds; other JobErrors fail it at once.

    `options` are those of `prefect.task`. An exception that is no JobError fails the task with its traceback.
    """

    def decorate(function: Callable[..., T]) -> Task[..., T]:
        @wraps(function)
        def with_sentence(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except JobError as error:
                if isinstance(error, TransientError) and int(task_run.run_count) <= len(delays):
                    raise
                return Failed(message=str(error))

        made: Task[..., T] = task(  # type: ignore[call-overload]  # options are passed through
            with_sentence,
            retries=len(delays),
            retry_delay_seconds=list(delays),
            retry_jitter_factor=0.5,
            retry_condition_fn=_was_raised,
            **options,
        )
        return made

    return decorate


def _was_raised(_task: Task[..., Any], _run: Any, state: State[Any]) -> bool:
    """Whether the state was made of an exception, which is its data; a returned sentence has none."""
    return state.data is not None


def run(task_to_run: Task[..., T], *args: Any, **kwargs: Any) -> T:
    """What the step returns.

    Raises:
        JobError: the step failed; the message is its sentence.
    """
    state: State[T] = task_to_run(*args, return_state=True, **kwargs)
    try:
        return state.result()
    except FailedRun:
        raise JobError(state.message or "") from None
