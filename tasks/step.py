"""What a step is: a Prefect task that is tried again where that can heal, and that ends in one plain sentence.

Raising in a task logs two tracebacks. For what a person has to mend a step returns a Failed state with the sentence
instead, and `run` makes an exception of it again for the flow.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

from prefect import State, Task, task
from prefect.exceptions import FailedRun
from prefect.runtime import task_run
from prefect.states import Failed

T = TypeVar("T")
DELAYS = (0.5, 1, 2, 4)  # seconds before each further attempt
RESULTS = "embassy-jobs"  # begins every cache key, and so is the directory of our results: others share the storage


class Refused(Exception):  # noqa: N818 - reads as what it says
    """A job cannot be done as asked: one plain sentence."""


def step(
    *,
    refusals: tuple[type[Exception], ...],
    may_heal: tuple[type[Exception], ...],
    delays: Sequence[float] = DELAYS,
    **options: Any,
) -> Callable[[Callable[..., T]], Task[..., T]]:
    """A task that is tried again, `delays` later, after `may_heal`, and ends with the sentence of `refusals`."""

    def decorate(function: Callable[..., T]) -> Task[..., T]:
        @wraps(function)
        def told(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except refusals as refusal:
                if isinstance(refusal, may_heal) and int(task_run.run_count) <= len(delays):
                    raise
                return Failed(message=str(refusal))

        made: Task[..., T] = task(  # type: ignore[call-overload]
            told,
            retries=len(delays),
            retry_delay_seconds=list(delays),
            retry_jitter_factor=0.5,
            retry_condition_fn=_was_raised,
            **options,
        )
        return made

    return decorate


def _was_raised(_task: Task[..., Any], _run: Any, state: State[Any]) -> bool:
    """A state made of an exception has a result, one that was returned with a sentence alone has none."""
    return state.data is not None


def run(task_to_run: Task[..., T], *args: Any, **kwargs: Any) -> T:
    """What the step returns; raises Refused with its sentence if it refused."""
    state: State[T] = task_to_run(*args, return_state=True, **kwargs)
    try:
        return state.result()
    except FailedRun:
        raise Refused(state.message) from None
