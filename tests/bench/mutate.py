"""How many small faults in the pure modules the unit tests notice.

python tests/bench/mutate.py [--mutants 110] [--seed 1] [--jobs 2] [--only tasks/mofa/diff.py]

Each mutant is a copy of the project with one change: a comparison, a condition, a number, a sign or a returned value.
It is killed if a unit test of its package fails. The survivors are printed: each is a missing test, or makes no
difference.
"""

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
SECONDS = 300  # a mutant that takes longer hangs, and so is noticed
PURE = {  # package -> its modules, and their tests below tests/unit
    "tasks/crm/rules": (
        "*",
        "crm/test_contact.py crm/test_values.py crm/test_null_words.py crm/test_columns.py crm/test_garbled.py",
    ),
    "tasks/crm/headings": (
        "claims column_mapping data_above heading_row sheet_row table text",
        "crm/test_head*.py crm/test_which_sheet.py crm/test_fresh_inputs.py",
    ),
    "tasks/crm": ("columns contact non_records overmerging", "crm"),
    "tasks/crm/readers": (
        "number_formats csv_conventions csv_dialect csv_records csv_shape csv_survey vcard_fields vcard_text vcards",
        "crm/readers/test_[nv]*.py crm/readers/test_[cde]*.py crm/readers/test_xlsx.py",
    ),
    "tasks/mofa": ("comparison diff embassy error_page hidden_email numbers plausibility unreadable", "mofa"),
    "tasks/notify": ("dialects message", "notify"),
    "tasks/watch": ("slots", "watch"),
}
PAIRS: list[tuple[type[ast.AST], type[ast.AST]]] = [
    *[(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn), (ast.Is, ast.IsNot)],
    *[(ast.And, ast.Or), (ast.Add, ast.Sub)],
]
SWAPPED = dict([*PAIRS, *[(other, one) for one, other in PAIRS]])


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: Path
    line: int
    before: str
    after: str
    source: str
    tests: tuple[str, ...]


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


def _mutants(path: Path, tests: tuple[str, ...]) -> Iterator[Mutant]:
    tree = ast.parse(path.read_text())
    annotations = {id(part) for node in ast.walk(tree) for part in _not_run(node)}
    for node in ast.walk(tree):
        for changed in () if id(node) in annotations else _changes(node):
            again = ast.parse(path.read_text())
            [same] = [other for one, other in zip(ast.walk(tree), ast.walk(again), strict=True) if one is node]
            mutated = ast.fix_missing_locations(_Replace(same, changed).visit(again))
            yield Mutant(path, node.lineno, ast.unparse(node), ast.unparse(changed), ast.unparse(mutated), tests)  # type: ignore[attr-defined]


def _not_run(node: ast.AST) -> Iterator[ast.AST]:
    """What is in annotations and decorators."""
    parts = [getattr(node, "annotation", None), getattr(node, "returns", None), *getattr(node, "decorator_list", [])]
    for part in parts:
        if part is not None:
            yield from ast.walk(part)


def _survives(mutant: Mutant, project: Path) -> bool:
    """Whether the tests pass, in a copy of the project where only this differs."""
    changed = project / mutant.path.relative_to(ROOT)
    changed.write_text(mutant.source)
    tests = [str(path) for pattern in mutant.tests for path in sorted((project / "tests" / "unit").glob(pattern))]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:xdist", "-m", "not slow", *tests],
            cwd=project,
            env={**os.environ, "PYTHONPATH": f"{project}:{project / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        shutil.copy(mutant.path, changed)
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mutants", type=int, default=110)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=Path)
    given = parser.parse_args()
    pure = {
        path: tuple(tests.split())
        for package, (modules, tests) in PURE.items()
        for module in modules.split()
        for path in sorted(ROOT.glob(f"{package}/{module}.py"))
    }
    if given.only:
        pure = {path: tests for path, tests in pure.items() if path == ROOT / given.only}
    every = [mutant for path, tests in pure.items() for mutant in _mutants(path, tests)]
    chosen = random.Random(given.seed).sample(every, min(given.mutants, len(every)))
    print(f"{len(chosen)} of {len(every)} mutants of {len(pure)} modules, seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory, ThreadPoolExecutor(given.jobs) as pool:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(given.jobs):
            copies.put(_copy(Path(directory, str(number))))

        def survives(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                return _survives(mutant, copy)
            finally:
                copies.put(copy)

        survivors = []
        for mutant, survived in zip(chosen, pool.map(survives, chosen), strict=True):
            if survived:
                survivors.append(mutant)
                where = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
                print(f"survived  {where}: {mutant.before[:70]!r} -> {mutant.after[:70]!r}", flush=True)
    killed = len(chosen) - len(survivors)
    print(f"killed {killed} of {len(chosen)}: {killed / len(chosen):.0%}")


def _copy(project: Path) -> Path:
    """The files of the project that are in git."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in tracked.splitlines():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    return project


if __name__ == "__main__":
    main()
