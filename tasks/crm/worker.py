"""The reading process: `python -m tasks.crm.worker` reads the workbook of one request.

It is a process of its own because a hostile workbook can make a reader use all memory or abort its process, and because
reading can then use another core than staging. It has neither Prefect nor the database. `worker_protocol.py` describes
its request and its answers.
"""

import json
import os
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from importlib.abc import MetaPathFinder
from typing import NoReturn

import pyarrow as pa

from tasks.crm.headings.error import HeadingsError
from tasks.crm.readers.budget import BudgetError
from tasks.crm.readers.workbook import WorkbookError
from tasks.crm.reading import read
from tasks.crm.worker_protocol import Batch, End, Headings, ReadRequest

_KINDS = {Headings: "headings", Batch: "batch", End: "end"}


def main() -> None:
    """Answer the request on standard input."""
    _start_arrow()  # while the request is not known yet
    request = ReadRequest(**json.loads(sys.stdin.read()))
    if sys.platform != "darwin":  # macOS has no such limit that works
        limit = request.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (request.cpu_seconds, request.cpu_seconds + 1))
    answer(request)
    _exit()


def answer(request: ReadRequest) -> None:
    """Write the answers, or the sentence of a refusal."""
    try:
        for event in read(request):
            _write(_KINDS[type(event)], asdict(event))
    except HeadingsError as error:
        _write("refused", f"{request.name}: {error.message(request.interface)}")
    except (WorkbookError, BudgetError) as error:
        _write("refused", str(error))
    except MemoryError:
        _write(
            "refused",
            f"{request.name} needs more than {request.memory_mb} MB to be read: split the workbook, or raise "
            "IMPORT_MEMORY_MB",
        )
    except BrokenPipeError:
        pass  # the parent process has ended
    except OSError as error:
        _write("refused", f"the rows of {request.name} cannot be written to {request.into}: {error.strerror}")


def _write(kind: str, content: object) -> None:
    sys.stdout.write(json.dumps({kind: content}) + "\n")
    sys.stdout.flush()


def _exit() -> NoReturn:
    """End without the interpreter's clean-up, which may hang after a panic or when memory is used up."""
    with suppress(BrokenPipeError):  # the parent process has ended
        sys.stdout.flush()
    os._exit(0)


class _NoPandas(MetaPathFinder):
    """Makes `import pandas` fail.

    Arrow imports pandas when it first converts a list, because there may be Series in it. Here there are none, and the
    import takes 0.2 s, as long as reading 10,000 rows. Code that needs pandas later can still import it.
    """

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def _start_arrow() -> None:
    """Load what Arrow loads at the first conversion, without pandas."""
    pa.set_memory_pool(pa.system_memory_pool())  # the other pools use a quarter more memory
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    pa.array([None])
    sys.meta_path.remove(finder)


if __name__ == "__main__":
    main()
