"""How many small faults in the pure modules the unit tests notice.

python tests/bench/mutate.py [--mutants 110 --seed 1] [--jobs 2] [--only tasks/mofa/diff.py ...]

Each mutant is the project with one change: a comparison, a condition, a number, a sign or a returned value. A run
without a change records which tests reach which line. A mutant is killed if a test that reaches its line fails or
does not end; where a line runs once for all tests, such as that of a constant, a test in a file that reaches its
module. Tests of growth are left out, and so are the slowest of very many. The survivors are printed: each is a missing
test, or makes no difference. Without --mutants all mutants are tried.
"""

import argparse
import ast
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from time import monotonic
from typing import Any

import coverage
import pytest

ROOT = Path(__file__).parents[2]
QUICK = 30.0  # seconds: of the tests that reach a mutant, the quickest that take as long together
SECONDS_OF_A_TEST = 30  # no test takes a tenth of it: a mutant with which one takes longer hangs, and so is noticed
SECONDS = 600  # the same for all its tests, if what hangs is compiled code
PURE = {  # package -> its modules
    "tasks/crm/rules": "*",
    "tasks/crm/headings": "claims column_mapping data_above heading_row sheet_row table text",
    "tasks/crm": "columns contact non_records overmerging",
    "tasks/crm/readers": (
        "number_formats csv_conventions csv_dialect csv_records csv_shape csv_survey vcard_fields vcard_text vcards"
    ),
    "tasks/mofa": "comparison diff embassy error_page hidden_email numbers plausibility unreadable",
    "tasks/notify": "dialects message",
    "tasks/watch": "slots",
}
PAIRS: list[tuple[type[ast.AST], type[ast.AST]]] = [
    *[(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn), (ast.Is, ast.IsNot)],
    *[(ast.And, ast.Or), (ast.Add, ast.Sub)],
]
SWAPPED = dict([*PAIRS, *[(other, one) for one, other in PAIRS]])
FORK = multiprocessing.get_context("fork")  # a child has pytest and all libraries loaded, and nothing of the project


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: str
    line: int
    before: str
    after: str
    source: str
    reached_by: tuple[int, ...]  # lines: the tests that reach one of them can notice it; empty: those of its files


@dataclass(frozen=True)
class Recorded:
    """What a run without a change shows, of tests by their node IDs."""

    seconds: dict[str, float]
    tests_of_line: dict[str, dict[int, list[str]]]  # by module and line; "" is not a test but an import
    libraries: list[str]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that may notice it, those that reach its line first, and the quickest of them first."""
        tests_of_line = self.tests_of_line.get(mutant.path, {})
        reaching = {test for line in mutant.reached_by for test in tests_of_line.get(line, [])}
        tests = reaching
        if not mutant.reached_by or "" in reaching:
            files = {test.partition("::")[0] for tests in tests_of_line.values() for test in tests}
            tests = {test for test in self.seconds if test.partition("::")[0] in files}
        in_order = sorted(tests - {""}, key=lambda test: (test not in reaching, self.seconds[test]))
        together = accumulate(self.seconds[test] for test in in_order)
        return [test for test, seconds in zip(in_order, together, strict=True) if seconds < QUICK]


class _Recorder:
    """Notes how long each test takes and the lines that it reaches."""

    def __init__(self, project: Path) -> None:
        self.coverage = coverage.Coverage(data_file=None, include=[str(project / "tasks" / "*")], config_file=False)
        self.coverage.start()
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        started = monotonic()
        result = yield
        self.seconds[item.nodeid] = monotonic() - started
        self.coverage.switch_context("")
        return result


class _Only:
    """Runs some of the tests, in their order."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: number for number, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self.order]
        items[:] = sorted(chosen, key=lambda item: self.order[item.nodeid])


def _pytest(project: Path, files: list[str], plugin: object) -> int:
    """Run tests of a copy of the project in this process, which must have imported nothing of it."""
    os.chdir(project)
    sys.path[:0] = [str(project), str(project / "tests")]
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    options = ["-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "not slow"]
    options += [f"--timeout={SECONDS_OF_A_TEST}", f"--rootdir={project}", "--ignore-glob=*/test_linear_*"]
    return int(pytest.main([*options, *files], plugins=[plugin]))


def _record(project: Path, result: Path) -> None:
    recorder = _Recorder(project)
    code = _pytest(project, ["tests/unit"], recorder)
    recorder.coverage.stop()
    data = recorder.coverage.get_data()
    tests_of_line = {
        str(Path(file).relative_to(project)): data.contexts_by_lineno(file) for file in data.measured_files()
    }
    libraries = [
        name
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None)) and "site-packages" in file
    ]
    result.write_text(json.dumps([code, recorder.seconds, tests_of_line, libraries]))


def _recorded(project: Path) -> Recorded:
    """What the tests reach; also leaves the compiled files in the copy, which then need not be compiled again."""
    result = project / "recorded.json"
    child = FORK.Process(target=_record, args=(project, result))
    child.start()
    child.join()
    code, seconds, tests_of_line, libraries = json.loads(result.read_text())
    if code:
        raise SystemExit("The unit tests fail without any change: run `make test TESTS=tests/unit`.")
    by_number = {path: {int(line): tests for line, tests in lines.items()} for path, lines in tests_of_line.items()}
    return Recorded(seconds, by_number, libraries)


def _tests(project: Path, tests: list[str]) -> None:
    os._exit(_pytest(project, sorted({test.partition("::")[0] for test in tests}), _Only(tests)))


def _survives(mutant: Mutant, tests: list[str]) -> bool:
    """Whether these tests pass, in this process's copy of the project where only this differs."""
    if not tests:
        return True
    changed = _project / mutant.path
    changed.write_text(mutant.source)
    try:
        child = FORK.Process(target=_tests, args=(_project, tests))
        child.start()
        child.join(SECONDS)
        child.kill()
        child.join()
    finally:
        shutil.copy2(ROOT / mutant.path, changed)
    return child.exitcode == 0


_project: Path  # the copy that a process of the pool changes


def _own_copy(directory: Path) -> None:
    global _project  # noqa: PLW0603 - each process of the pool has one
    _project = directory / str(os.getpid())
    shutil.copytree(directory / "project", _project)
    sys.dont_write_bytecode = True  # a changed module is not what the next one finds compiled


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """The node, changed in each way that is tried."""
    if isinstance(node, ast.Compare | ast.BoolOp | ast.BinOp):
        changed = deepcopy(node)
        operator = changed.ops[0] if isinstance(changed, ast.Compare) else changed.op
        if swapped := SWAPPED.get(type(operator)):
            if isinstance(changed, ast.Compare):
                changed.ops[0] = swapped()  # type: ignore[call-overload]
            else:
                changed.op = swapped()  # type: ignore[assignment]
            yield changed
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Constant):
        yield ast.Return(ast.Constant(None))


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else super().generic_visit(node)


def _mutants(path: Path) -> Iterator[Mutant]:
    tree = ast.parse(path.read_text())
    not_run = {id(part) for node in ast.walk(tree) for part in _not_run(node)}
    lines = dict(_lines_that_reach(tree, ()))
    for node in ast.walk(tree):
        for changed in () if id(node) in not_run else _changes(node):
            again = ast.parse(path.read_text())
            [same] = [other for one, other in zip(ast.walk(tree), ast.walk(again), strict=True) if one is node]
            mutated = ast.unparse(ast.fix_missing_locations(_Replace(same, changed).visit(again)))
            where, line = str(path.relative_to(ROOT)), getattr(node, "lineno", 0)
            yield Mutant(where, line, ast.unparse(node), ast.unparse(changed), mutated, lines[id(node)])


def _not_run(node: ast.AST) -> Iterator[ast.AST]:
    """What is in annotations and decorators."""
    parts = [getattr(node, "annotation", None), getattr(node, "returns", None), *getattr(node, "decorator_list", [])]
    for part in parts:
        if part is not None:
            yield from ast.walk(part)


def _lines_that_reach(
    node: ast.AST, lines: tuple[int, ...], *, in_cache: bool = False
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The lines of the statement of each node; none in a cached function, which only the first of its tests reaches."""
    if isinstance(node, ast.FunctionDef):
        in_cache = in_cache or any("cache" in ast.unparse(decorator) for decorator in node.decorator_list)
    if isinstance(node, ast.stmt):
        end = node.body[0].lineno - 1 if isinstance(getattr(node, "body", None), list) else node.end_lineno  # type: ignore[attr-defined]
        lines = () if in_cache else tuple(range(node.lineno, max(node.lineno, end or 0) + 1))
    yield id(node), lines
    for child in ast.iter_child_nodes(node):
        yield from _lines_that_reach(child, lines, in_cache=in_cache)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=Path, nargs="+")
    given = parser.parse_args()
    pure = [
        path
        for package, modules in PURE.items()
        for module in modules.split()
        for path in sorted(ROOT.glob(f"{package}/{module}.py"))
    ]
    if given.only:
        pure = [ROOT / path for path in given.only]
    every = [mutant for path in pure for mutant in _mutants(path)]
    chosen = random.Random(given.seed).sample(every, min(given.mutants, len(every))) if given.mutants else every
    print(f"{len(chosen)} of {len(every)} mutants of {len(pure)} modules, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        directory = Path(name)
        recorded = _recorded(_copy(directory / "project"))
        for library in recorded.libraries:
            with suppress(Exception):  # as a test may have imported it
                import_module(library)
        pool: Any = ProcessPoolExecutor(given.jobs, mp_context=FORK, initializer=_own_copy, initargs=(directory,))
        with pool:
            survivals = pool.map(_survives, chosen, map(recorded.tests, chosen))
            survivors = 0
            for mutant, survived in zip(chosen, survivals, strict=True):
                if survived:
                    survivors += 1
                    change = f"{mutant.before[:70]!r} -> {mutant.after[:70]!r}"
                    print(f"survived  {mutant.path}:{mutant.line}: {change}", flush=True)
    killed = len(chosen) - survivors
    print(f"killed {killed} of {len(chosen)}: {killed / len(chosen):.1%}")


def _copy(project: Path) -> Path:
    """The files of the project that are in git."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, project / name)
    return project


if __name__ == "__main__":
    main()
