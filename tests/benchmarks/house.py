"""Figures of the house at any revision: rooms, layers, loose modules, long files, long functions, many arguments.

python tests/benchmarks/house.py 749a641 HEAD     # one column a revision; the working tree needs no argument
"""

from __future__ import annotations

import argparse
import ast
import configparser
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOTS = ("search", "spaces")
FILE_LINES, FUNCTION_LINES, ARGUMENTS = 300, 40, 8
_CONTRACTS = ".importlinter"


def sources(revision: str | None) -> dict[str, str]:
    """Return path -> text of every Python file of the packages, and of the import contracts, at ``revision``."""
    listed = ("git", "ls-tree", "-r", "--name-only", revision) if revision else ("git", "ls-files")
    names = subprocess.run((*listed, "--", *ROOTS, _CONTRACTS), check=True, capture_output=True, text=True).stdout
    wanted = [name for name in names.splitlines() if name.endswith(".py") or name == _CONTRACTS]
    if revision is None:
        return {name: Path(name).read_text("utf-8") for name in wanted if Path(name).exists()}
    shown = ("git", "show")
    return {
        name: subprocess.run((*shown, f"{revision}:{name}"), check=True, capture_output=True, text=True).stdout
        for name in wanted
    }


def functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method in ``text``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many parameters a function has, ``self`` and ``cls`` not counted."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def layers(contracts: str) -> dict[str, int]:
    """Return how many layers each package's contract orders."""
    read = configparser.ConfigParser()
    read.read_string(contracts)
    found = {}
    for section in read.values():
        container = section.get("containers", "").strip()
        if section.get("type") == "layers" and container:
            found[container] = len([line for line in section.get("layers", "").splitlines() if line.strip()])
    return found


def figures(files: Mapping[str, str]) -> dict[str, int]:
    """Return the figures of one revision, by name."""
    code = {Path(name): text for name, text in files.items() if name.endswith(".py")}
    found: dict[str, int] = {}
    for root in ROOTS:
        inside = [path for path in code if path.parts[0] == root]
        found[f"rooms of {root}"] = len({path.parts[1] for path in inside if len(path.parts) > 2})
        found[f"loose modules of {root}"] = sum(len(path.parts) == 2 and path.stem != "__init__" for path in inside)
        found[f"layers of {root}"] = layers(files.get(_CONTRACTS, "")).get(root, 0)
    every = [function for text in code.values() for function in functions(text)]
    found["files"] = len(code)
    found["lines"] = sum(len(text.splitlines()) for text in code.values())
    found[f"files over {FILE_LINES} lines"] = sum(len(text.splitlines()) > FILE_LINES for text in code.values())
    found[f"functions over {FUNCTION_LINES} lines"] = sum(body_lines(one) > FUNCTION_LINES for one in every)
    found[f"functions with more than {ARGUMENTS} arguments"] = sum(arguments(one) > ARGUMENTS for one in every)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", help="git revisions; the working tree by default")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    given = parser.parse_args()
    found = {name or "working tree": figures(sources(name)) for name in (given.revisions or [None])}
    if given.json:
        print(json.dumps(found, indent=2))
        return
    width = max(len(name) for one in found.values() for name in one)
    print("".ljust(width), *(name.rjust(12) for name in found))
    for name in next(iter(found.values())):
        print(name.ljust(width), *(str(one[name]).rjust(12) for one in found.values()))


if __name__ == "__main__":
    main()
