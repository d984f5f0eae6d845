"""The public names are these and no others, and nothing inside builds on them."""

from __future__ import annotations

import ast
from pathlib import Path

from search import api

ROOT = Path(api.__file__).parent


def test_the_public_names_are_these() -> None:
    assert set(api.__all__) == {
        "RankOptions",
        "StudyResult",
        "confirm_study",
        "delete_study",
        "export_study",
        "join_study",
        "load_model",
        "load_study",
        "open_artifacts",
        "open_study",
        "rank_backbones",
        "refit_study",
        "run_study",
        "suggest",
        "write_report",
    }
    assert all(getattr(api, name).__doc__ for name in api.__all__)


def test_nothing_inside_but_commands_imports_them() -> None:
    users = []
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "search.api":
                users.append(path.relative_to(ROOT).parts[0])
    assert set(users) == {"cli"}
