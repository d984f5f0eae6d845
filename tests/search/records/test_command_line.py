from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from search.records.command_line import command


def test_a_plain_command_is_left_as_it_is() -> None:
    assert (
        command("predict", Path("runs/a/model"), "IMAGE_OR_FOLDER") == "ftsearch predict runs/a/model IMAGE_OR_FOLDER"
    )
    assert command("run", Path("study.yaml"), "--storage", "sqlite:///a.db") == (
        "ftsearch run study.yaml --storage sqlite:///a.db"
    )


@pytest.mark.parametrize("name", ["my data.yaml", "a'b.yaml", "$HOME.yaml", "a;b", "x&y?.db", "(1)", "*", "~x", ""])
def test_a_shell_reads_what_was_meant(name: str) -> None:
    assert shlex.split(command("plan", name)) == ["ftsearch", "plan", name]


def test_no_path_is_taken_for_an_option_and_none_moves_the_cursor() -> None:
    assert command("plan", Path("-x.yaml")) == "ftsearch plan ./-x.yaml"
    assert "\x1b" not in command("plan", Path("a\x1b[2J.yaml"))
