"""Promises of the repository itself: what the README says, what is packaged, what may never be in the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = (ROOT / "encoder" / "jina_v3_encoder", ROOT / "jina_v3_connectors")
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
"""Everything that users and developers read, besides the code."""
PROSE = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LONGEST_MODULE = 500
FOLDERS = ("encoder", "jina_v3_connectors", "haystack_integrations", "benchmarks", "examples", "training", "tests")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
NAMES_OF_NOTHING = {"own", "found", "item", "place"}
"""They say that a value is held, and not what it is."""
NAMED_BY_OTHERS = {
    "tests/support/extras.py": {"item"},  # pytest passes a hook its arguments by name
}


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_modules_are_short_documented_and_annotated(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    assert len(source.splitlines()) <= LONGEST_MODULE
    assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.returns is not None, node.name


def test_locals_say_what_they_hold() -> None:
    empty: dict[str, set[str]] = {}
    for path, name in zip(SOURCES, names(SOURCES), strict=True):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        variables = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        arguments = {node.arg for node in nodes if isinstance(node, ast.arg)}
        if empty_names := (variables | arguments) & NAMES_OF_NOTHING:
            empty[name] = empty_names
    assert empty == NAMED_BY_OTHERS


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_nothing_unpickles_or_runs_foreign_code(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    forbidden = r"\b(import pickle|torch\.load\(|trust_remote_code|eval\(|exec\(|yaml\.load|marshal|shelve)"
    matches = [match for match in re.findall(forbidden, source) if match != "eval("]
    assert matches == []
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec")]


def test_the_first_python_block_of_the_readme_runs() -> None:
    block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert sum(bool(line.strip()) for line in block.splitlines()) <= 5
    done = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, check=True)
    assert float(done.stdout.strip().strip("[]")) > 0.2


def test_the_two_commands_stand_on_the_first_screen() -> None:
    first_screen = "\n".join(README.splitlines()[:15])
    assert "make demo" in first_screen
    assert "make test" in first_screen


@pytest.mark.parametrize("command", sorted(set(re.findall(r"(?<!llm )\bjina-v3 (\w+)", PROSE)) - {"connectors"}))
def test_commands_of_the_readme_exist(command: str) -> None:
    from jina_v3_connectors.cli.main import COMMANDS

    assert command in COMMANDS


@pytest.mark.parametrize("extra", sorted(set(re.findall(r"jina-v3-connectors\[([\w-]+)\]", PROSE))))
def test_extras_of_the_readme_exist(extra: str) -> None:
    assert extra in PROJECT["project"]["optional-dependencies"]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(((?!http)[^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_measurements_that_are_named_exist() -> None:
    """Every figure keeps the command that prints it."""
    for module in sorted(set(re.findall(r"python -m ((?:benchmarks|training)[\w.]*\w)", PROSE))):
        path = ROOT.joinpath(*module.split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module
    for file in sorted(set(re.findall(r"tests/[\w/]+\.py", PROSE))):
        assert (ROOT / file).exists(), file
    for target in sorted(set(re.findall(r"`make ([\w-]+)`", PROSE))):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(), target


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_licences_are_plain() -> None:
    for text in (README, (ROOT / "LICENSE").read_text()):
        assert "CC BY-NC 4.0" in text
        assert "CC BY-SA 4.0" in text
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_torch_is_pinned_for_checkouts_and_bounded_for_users() -> None:
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()
    assert "-c constraints.txt" in (ROOT / "Makefile").read_text()
    requirement = next(line for line in PROJECT["project"]["dependencies"] if line.startswith("torch"))
    assert re.fullmatch(r"torch>=2\.\d+", requirement)


def test_every_dependency_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in PROJECT["project"]["dependencies"]:
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        assert "#" in line, requirement


def test_what_developers_need_is_in_the_source_archive_and_not_in_the_wheel() -> None:
    targets = PROJECT["tool"]["hatch"]["build"]["targets"]
    folders = {"benchmarks", "docs", "examples", "tests", "training"}
    assert folders <= set(targets["sdist"]["include"])
    assert folders.isdisjoint(targets["wheel"]["packages"])


def test_the_packages_are_typed() -> None:
    for package in PACKAGES:
        assert (package / "py.typed").exists()


def test_ci_runs_lint_and_every_test() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    for target in ("lint", "test", "test-servers", "image-steps"):
        assert f"make {target}\n" in script


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_cell_of_the_stores_table_has_a_test() -> None:
    stores = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    section = stores.partition("## Stores")[2].partition("\n## ")[0]
    named = re.findall(r"`(test_\w+)` \|$", section, re.MULTILINE)
    assert len(named) >= 10
    written = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "connectors").rglob("test_*.py"))
    for name in named:
        assert f"def {name}(" in written, name


def test_no_constant_is_dead() -> None:
    """Every constant of the packages is read by its own module or taken from it by another."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES + TESTS}
    taken = {
        (node.module.rpartition(".")[2], alias.name)
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    attributes = {node.attr for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    dead = []
    for path in MODULES:
        read = {
            node.id for node in ast.walk(trees[path]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        module = path.parent.name if path.stem == "__init__" else path.stem
        for node in trees[path].body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                name = target.id if isinstance(target, ast.Name) else ""
                used = name in read | attributes or (module, name) in taken
                if name.strip("_").isupper() and not used:
                    dead.append(f"{path.relative_to(ROOT)}: {name}")
    assert dead == []


def test_what_tools_leave_behind_is_not_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no checkout")
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    folders = {part for file in listed.splitlines() for part in Path(file).parts[:-1]}
    assert {".hypothesis", ".schemathesis"} <= set(ignored)
    assert folders.isdisjoint(ignored)


def test_no_generated_case_is_failed_by_the_clock() -> None:
    assert hypothesis.settings().deadline is None


WITHOUT_WORDS = {"KeyboardInterrupt", "ZeroDivisionError", "asyncio.CancelledError", "httpx.ReadTimeout"}
"""Exceptions that are not told to a user."""


@pytest.mark.parametrize("path", TESTS, ids=names(TESTS))
def test_errors_are_asked_for_their_words(path: Path) -> None:
    """By `match`, or by what is asserted of the caught one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    caught = {
        id(entered.context_expr)
        for node in ast.walk(tree)
        if isinstance(node, ast.With | ast.AsyncWith)
        for entered in node.items
        if entered.optional_vars is not None
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "pytest.raises" or id(node) in caught:
            continue
        told = any(keyword.arg == "match" for keyword in node.keywords)
        assert told or ast.unparse(node.args[0]) in WITHOUT_WORDS, f"line {node.lineno}: {ast.unparse(node)}"
