"""The README and docs/: what they show exists, what they link to is there, and the generated pages are up to date."""

import ast
import importlib
import inspect
import re
import sys
import textwrap
import unicodedata
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from prefect import Flow
from support.project import MODULES, PACKAGES, ROOT

from db.settings import is_secret
from deployments import reference
from tasks.mofa.page import Page, PageError
from tasks.mofa.sources import of_file

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
WRITTEN_BY_READERS = {  # files that a page says how to write
    "flows/keep_workbook.py",
    "tasks/crm/readers/ldif.py",
    "tasks/mofa/sources/example.py",
    "tasks/mofa/sources/example.toml",
    "tasks/notify/example.py",
}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[str]:
    """The blocks of code of a language ("" for commands and output), also those inside of lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def prose(page: Path) -> str:
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_versions_of_prefect_that_a_page_installs_are_the_locked_one() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    locked = re.findall(r"^prefect==(\S+)", lock, re.MULTILINE)
    named = [version for page in PAGES for version in re.findall(r"\bprefect(?:\[\w+\])?==([\d.]+)", page.read_text())]
    assert named
    assert set(named) == set(locked)


# --- generated pages


@pytest.mark.parametrize("name", ["settings.md", "headings.md"])
def test_a_generated_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == reference.pages()[name], f"docs/{name} is out of date: make docs"


def test_every_setting_is_on_the_page_of_settings() -> None:
    listed = {ancestor.__name__ for model in reference.SETTINGS.values() for ancestor in model.__mro__}
    defined = {
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any("Settings" in ast.unparse(base) for base in node.bases)
    }
    assert defined <= listed
    assert len(reference.SETTINGS) == len(set(reference.SETTINGS.values()))
    page = (DOCS / "settings.md").read_text()
    for model in reference.SETTINGS.values():
        for field in model.model_fields:
            variable = f"{model.model_config.get('env_prefix', '')}{field}".upper()
            assert page.count(f"| `{variable}` |") == 1, variable


# --- commands


def command_file(module: str) -> Path:
    """The file that `python -m` runs."""
    path = ROOT / module.replace(".", "/")
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


@each_page
def test_the_commands_of_a_page_exist(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|[A-Z]=\S+ )make ([a-z-]+)", text, re.MULTILINE)) <= targets
    for program in set(re.findall(r"\.venv/bin/([\w-]+)", text)):
        assert (Path(sys.executable).parent / program).exists(), program
    for module in set(re.findall(r"python -m ([a-z_.]+)", text)):
        if module.split(".")[0] in PACKAGES:
            assert command_file(module).exists(), module


@each_page
def test_the_options_and_variables_of_the_commands_of_a_page_exist(page: Path) -> None:
    known = {variable for group in reference.settings().values() for variable in group}
    known |= {
        f"{variable}_FILE"
        for group in reference.settings().values()
        for variable, field in group.items()
        if is_secret(field)
    }
    for block in blocks(page, ""):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.partition("   #")[0]
            if module := re.search(r"python -m ((?:flows|tasks|db|deployments)[a-z_.]*)", command):
                source = command_file(module[1]).read_text()
                for option in re.findall(r" (--[a-z-]+)", command.partition(" prefect ")[0]):
                    assert f'"{option}"' in source, command
            for variable in re.findall(r"(?:^|export |\s)([A-Z_]+)=\S+ (?:make|$)", command):
                assert variable in known, command


@each_page
def test_the_deployments_and_parameters_of_a_page_exist(page: Path) -> None:
    """Of `prefect deployment run` and of the entries in prefect.yaml that a page shows."""
    entries = [entry for block in blocks(page, "yaml") for entry in yaml.safe_load(block.replace("*pool", "{}"))]
    deployments = {
        f"{entry['entrypoint'].rpartition('.')[2]}/{entry['name']}": entry for entry in [*deployed(), *entries]
    }
    for name in set(re.findall(r"deployment (?:run|schedule \w+) ([a-z_]+/[a-z-]+)", page.read_text())):
        assert name in deployments, name
    for command in re.findall(r"deployment run ([a-z_]+/[a-z-]+)((?:[ \\\n]+-p \S+)+)", page.read_text()):
        for parameter in re.findall(r"-p (\w+)=", command[1]):
            assert parameter in parameters(deployments[command[0]]["entrypoint"]), command
    for entry in entries:
        module = entry["entrypoint"].rpartition(".")[0].replace(".", "/")
        if f"{module}.py" not in WRITTEN_BY_READERS:
            assert set(entry["parameters"]) <= parameters(entry["entrypoint"])
            assert set(entry) == set(deployed()[0])


@cache
def deployed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    return found


def parameters(entrypoint: str) -> set[str]:
    module, _, name = entrypoint.rpartition(".")
    flow: Flow[..., Any] = getattr(importlib.import_module(module), name)
    return set(inspect.signature(flow.fn).parameters)


# --- what a page names


@each_page
def test_the_tests_that_a_page_names_exist(page: Path) -> None:
    files = list((ROOT / "tests").rglob("test_*.py"))
    tests = "\n".join(path.read_text() for path in files)
    for test in set(re.findall(r"`(test_[a-z0-9_]+)`", page.read_text())):
        assert f"def {test}(" in tests or test in {path.stem for path in files}, test


@each_page
def test_the_files_and_functions_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    for file in set(re.findall(r"`((?:flows|tasks|db|deployments|tests|docs|\.ci)/[\w./-]*)`", text)):
        assert (ROOT / file).exists() or file in WRITTEN_BY_READERS, file
    for file, function in re.findall(r"`([\w./]+\.py)` \(`(\w+)`\)", text):
        assert re.search(rf"^(?:async )?(?:def|class) {function}\b", (ROOT / file).read_text(), re.MULTILINE), function
    for file, name in re.findall(r"`([\w./]+\.py)`: (?:add it to|raise) (?:the model )?`(\w+)`", text):
        assert re.search(rf"^(?:class )?{name}\b", (ROOT / file).read_text(), re.MULTILINE), name


@each_page
def test_the_python_of_a_page_is_correct_and_its_imports_exist(page: Path) -> None:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.ImportFrom) or not node.module or node.module.split(".")[0] not in PACKAGES:
                continue
            module = importlib.import_module(node.module)
            for alias in node.names:
                path = f"{node.module}.{alias.name}".replace(".", "/") + ".py"
                assert hasattr(module, alias.name) or path in WRITTEN_BY_READERS, path


def test_the_source_of_the_docs_reads_a_page_and_refuses_another_one() -> None:
    [source, *_] = blocks(DOCS / "new-ministry.md", "python")
    module = ModuleType("example")
    exec(source, module.__dict__)  # noqa: S102 - the page's own code
    cells = "".join(f'<td class="{name}">{name} of Sylvania</td>' for name in ("name", "address"))
    row = f'<tr class="mission">{cells}<td class="phone">+44 20 7946 0958</td></tr>'

    def parsed(content: str) -> list[tuple[str, str | None]]:
        page = Page(module.SOURCE.home, f"<html><body>{content}</body></html>")
        return [(mission.name, mission.phone) for mission in module.SOURCE.parse(page)]

    assert parsed(f'<table class="missions">{row}</table>') == [("name of Sylvania", "+44 20 7946 0958")]
    with pytest.raises(PageError):
        parsed("<p>No table today</p>")


def test_the_source_file_of_the_docs_reads_a_page(tmp_path: Path) -> None:
    [file, *_] = blocks(DOCS / "new-ministry.md", "toml")
    (tmp_path / "example.toml").write_text(file)
    source = of_file(tmp_path / "example.toml")
    heads = "".join(f"<th>{name}</th>" for name in ("Country", "Mission", "Address", "Telephone", "E-mail"))
    cells = "".join(f"<td>{text}</td>" for text in ("Sylvania", "Embassy in Zenda", "1 Road", "+44 20 7946 0958", "-"))
    text = f"<html><table class='missions'><tr>{heads}</tr><tr>{cells}</tr></table></html>"
    [mission] = source.parse(Page(source.home, text))
    assert (mission.key, mission.kind, mission.email) == ("sylvania/embassy-in-zenda", "embassy", None)


# --- links


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as MkDocs makes them; GitHub makes the same of plain headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
        found.add(re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower()))
    return found


@each_page
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if link.startswith(("https://", "http://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.is_file(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"
        assert page.parent != DOCS or target.is_relative_to(DOCS), f"{page.name}: {link} is not part of the built pages"


def test_every_page_is_in_the_navigation_and_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    navigation = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    for page in PAGES[1:]:
        assert f"](docs/{page.name})" in readme, page.name
        assert f": {page.name}\n" in navigation, page.name
    assert len(re.findall(r"\.md$", navigation, re.MULTILINE)) == len(PAGES) - 1


def test_every_picture_of_the_docs_is_shown() -> None:
    shown = "".join(page.read_text() for page in PAGES)
    assert not [picture.name for picture in DOCS.glob("*.png") if picture.name not in shown]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
