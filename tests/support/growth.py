"""How the work for an input grows with the input."""

import gc
import time
from collections.abc import Callable


def growth(prepared: Callable[[int], Callable[[], object]], size: int) -> float:
    """How many times as much CPU time the fourfold input takes: 4 if the time is linear, 16 if it is quadratic.

    Args:
        prepared: makes the input of a size and returns the work on it.
        size: such that the work takes at least some hundredths of a second.
    """

    def seconds(work: Callable[[], object]) -> float:
        gc.collect()
        begin = time.process_time()
        work()
        return time.process_time() - begin

    small, large = prepared(size), prepared(4 * size)
    small()  # imports and caches
    return min(seconds(large) for _ in range(2)) / min(seconds(small) for _ in range(3))
