"""The process that parses pages: `python -m tasks.mofa.page_worker ORIGIN MEMORY_MB SECONDS` (see page_process.py).

A page made to keep a parser busy can take all memory and hours. So pages are parsed in a process of its own, without
secrets, with limits of memory, and of CPU seconds for each page. Each line of its input is a page and each
line of its output the answer, both as JSON.
"""

import json
import os
import resource
import sys
from math import ceil
from pathlib import Path
from typing import Any

from tasks.mofa.embassy import to_json
from tasks.mofa.page import Page, Source
from tasks.mofa.page_process import NO_MEMORY
from tasks.mofa.reading import Attempt, try_to_read
from tasks.mofa.sources import of_file, source


def main() -> None:
    """Answer each line of the input."""
    origin, memory_mb, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    watched = _source(origin)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform != "darwin":  # macOS has no limit of this kind that works
        _, hard_limit = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, hard_limit))
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard_limit = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (ceil(used.ru_utime + used.ru_stime) + seconds, hard_limit))
        _answer(watched, line)


def _source(origin: str) -> Source:
    return of_file(Path(origin)) if origin.endswith(".toml") else source(origin)


def _answer(watched: Source, line: str) -> None:
    try:
        answer = _as_json(try_to_read(watched, Page(**json.loads(line))))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of a parser: it is raised where the crawl is
        answer = {"fault": f"{type(error).__name__}: {error}"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _as_json(attempt: Attempt) -> dict[str, Any]:
    reading = attempt.found
    read = reading and {"links": reading.links, "entries": [to_json(entry) for entry in reading.entries]}
    return {"reading": read, "problem": attempt.problem, "refusal": attempt.refusal}


if __name__ == "__main__":
    try:
        main()
    except MemoryError:  # nothing in memory can be trusted to be whole: no answer, and no clean-up
        os._exit(NO_MEMORY)
