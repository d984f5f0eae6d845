"""The house keeps its rules: contracts, a test beside every module, packages that import nothing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("search", "spaces")
    for path in (ROOT / package).rglob("*.py")
    if not path.name.startswith("_") and "migrations" not in path.parts
)
ROOMS = {
    "search": {
        *(
            "artifacts",
            "cli",
            "dashboard",
            "data",
            "detection",
            "lifecycle",
            "model",
            "new_study",
            "ranking",
            "records",
            "report",
        ),
        *("runtime", "sampling", "spec", "store", "tasks", "training", "trials", "workers"),
    },
    "spaces": {"backbones", "chains", "decisions", "decoders", "families", "networks", "surgery"},
}
LOOSE = {
    "search": {"__init__", "__main__", "api", "errors"},
    "spaces": {"__init__", "candidate", "detector", "errors", "heads", "plugins"},
}
TOP = {
    *("pyproject.toml", "search", "spaces", "tests", "studies", "docker", "docs"),
    *("README.md", "Makefile", "LICENSE", ".ci", ".git", ".gitignore", ".importlinter", ".dockerignore"),
}


def test_the_import_contracts_hold() -> None:
    # In a process of its own: import-linter configures logging, which would silence loggers that exist already.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_module_has_its_test() -> None:
    expected = [Path("tests") / module.parent / f"test_{module.name}" for module in MODULES]
    assert [str(test) for test in expected if not (ROOT / test).exists()] == []


def test_no_test_folder_is_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_top_level_is_the_customers() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {path.split("/")[0] for path in listed} <= TOP


@pytest.mark.parametrize("package", ["search", "spaces"])
def test_the_rooms_are_these_and_nothing_is_loose(package: str) -> None:
    """A new room is a decision: it needs a name that a stranger guesses, a line here and one in docs/inside.md."""
    rooms = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert rooms == ROOMS[package]
    assert {path.stem for path in (ROOT / package).glob("*.py")} == LOOSE[package]
    described = (ROOT / "docs" / "inside.md").read_text("utf-8")
    assert [room for room in sorted(rooms) if f"`{room}/" not in described] == []


@pytest.mark.parametrize("package", ["search", "spaces"])
def test_every_room_says_what_it_is_for(package: str) -> None:
    rooms = sorted((ROOT / package).glob("*/__init__.py"))
    assert [str(path) for path in rooms if not path.read_text("utf-8").startswith('"""')] == []


@pytest.mark.parametrize("package", ["search", "spaces"])
def test_a_package_imports_nothing_by_itself(package: str) -> None:
    program = f"import sys; before = set(sys.modules); import {package}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [package]


def test_modules_are_of_readable_size() -> None:
    modules = [path for package in ("search", "spaces") for path in (ROOT / package).rglob("*.py")]
    lines = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in modules}
    assert [str(module) for module, count in lines.items() if count > 400] == []


def described(node: ast.FunctionDef | ast.ClassDef, section: str) -> set[str]:
    """Return the names that a docstring describes in ``section``."""
    found = re.search(rf"^{section}:\n((?: .*\n|\n)*)", f"{ast.get_docstring(node) or ''}\n", re.MULTILINE)
    lines = re.findall(r"^    (\w[\w, ]*): ", found[1], re.MULTILINE) if found else []
    return {name for line in lines for name in line.split(", ")}


def unknown_names(node: ast.AST) -> set[str]:
    """Return the arguments or attributes that a docstring describes and the code lacks."""
    if isinstance(node, ast.FunctionDef):
        return described(node, "Args") - {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
    if isinstance(node, ast.ClassDef) and not node.bases:  # others inherit attributes
        words = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        words |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
        words |= {one.arg for one in ast.walk(node) if isinstance(one, ast.arg)}
        words |= {one.name for one in ast.walk(node) if isinstance(one, ast.FunctionDef)}
        return (described(node, "Attributes") | described(node, "Args")) - words
    return set()


def test_docstrings_describe_what_is_there() -> None:
    modules = [path for package in ("search", "spaces") for path in (ROOT / package).rglob("*.py")]
    nodes = [(path, node) for path in modules for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    wrong = [(path.relative_to(ROOT), node, names) for path, node in nodes if (names := unknown_names(node))]
    assert [f"{path}:{node.lineno}: {', '.join(sorted(names))}" for path, node, names in wrong] == []
