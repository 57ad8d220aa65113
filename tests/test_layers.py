"""Nothing imports upwards and no two files import each other: the layers of ARCHITECTURE.md, checked.

Imports inside functions and under TYPE_CHECKING count like all others.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LAYERS = re.findall(r"```layers\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()
LEVEL = {name: level for level, line in enumerate(LAYERS) for name in re.findall(r"[\w.]+", line.partition(":")[2])}
WHOLE = {"benchmarks", "training", "haystack_integrations"}
"""Packages that are one room. The front doors of the other two hold only themselves."""
PACKAGES = (ROOT / "encoder" / "jina_v3_encoder", ROOT / "jina_v3_connectors", *(ROOT / name for name in WHOLE))
FILES = {
    ".".join(file.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__"): file
    for package in PACKAGES
    for file in package.rglob("*.py")
}


def imports(module: str) -> Iterator[str]:
    """The modules of this project that a module names in its imports."""
    file = FILES[module]
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from FILES.keys() & {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield from FILES.keys() & {f"{origin}.{alias.name}" for alias in node.names} or FILES.keys() & {origin}


def room(module: str) -> str | None:
    """The longest name of the page that holds a module."""
    names = [module.rsplit(".", dots)[0] for dots in range(module.count(".") + 1)]
    return next((name for name in names if name in LEVEL and ("." in name or name in WHOLE | {module})), None)


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_module_imports_its_own_room_and_what_lies_below(module: str) -> None:
    home = room(module)
    assert home is not None, f"{module} stands in no layer of ARCHITECTURE.md"
    for other in imports(module):
        below = room(other)
        assert below == home or (below and LEVEL[below] < LEVEL[home]), f"{module} imports {other}, which is not below"


def test_no_two_files_import_each_other() -> None:
    TopologicalSorter({module: set(imports(module)) - {module} for module in FILES}).prepare()


def test_every_name_of_the_page_is_there() -> None:
    assert [
        name for name in LEVEL if name not in FILES and not any(file.startswith(f"{name}.") for file in FILES)
    ] == []
