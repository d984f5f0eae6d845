"""What commands say while they work, on a real terminal."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from rich.console import Console

from search.cli import _progress, _working
from search.records.study import EpochRecord, TrialRecord, TrialState
from search.store.reading import Progress


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """What a terminal receives, and the file that a program writes to."""
    own, its = pty.openpty()
    with open(its, "w", encoding="utf-8") as file:
        yield own, file
    os.close(own)


def received(own: int) -> str:
    os.set_blocking(own, False)
    try:
        return os.read(own, 65536).decode()
    except BlockingIOError:
        return ""


def test_what_takes_long_is_said_and_wiped_out(terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_working, "AFTER_S", 0.05)
    own, file = terminal
    screen = Console(file=file, force_terminal=True, width=80)
    text = ""
    with _working.working(screen, "loading libraries") as say:
        deadline = time.monotonic() + 30
        while "loading libraries" not in text and time.monotonic() < deadline:
            text += received(own)
            time.sleep(0.01)
        say("measuring")
        screen.print("a line of the result")
        while "measuring" not in text and time.monotonic() < deadline:
            text += received(own)
            time.sleep(0.01)
    text += received(own)
    assert "loading libraries" in text
    assert "a line of the result" in text.partition("measuring")[0] + text.partition("measuring")[2]
    assert text.endswith("\x1b[2K") or "\x1b[2K" in text.rpartition("measuring")[2]


def test_nothing_is_said_within_a_second(terminal: tuple[int, TextIO]) -> None:
    own, file = terminal
    with _working.working(Console(file=file, force_terminal=True), "loading libraries") as say:
        say("measuring")
    assert received(own) == ""


def test_in_a_pipe_each_kind_of_work_is_a_line_of_the_error_stream(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_working, "AFTER_S", 0.0)
    with _working.working(Console(), "loading libraries") as say:
        printed = ""
        while not printed:
            time.sleep(0.01)
            printed = capsys.readouterr().err
        for number in range(1, 4):
            say(f"scoring ({number} of 3)")
    said = capsys.readouterr()
    assert printed == "loading libraries\n"
    assert said.err == "scoring (1 of 3)\n"
    assert said.out == ""


def test_nothing_is_said_in_a_pipe_within_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with _working.working(Console(), "loading libraries") as say:
        say("measuring")
    assert capsys.readouterr() == ("", "")


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from search.cli import main
for words in (["run", "x.yaml"], ["confirm", "x"], ["refit", "x"], ["worker", "x"]):
    try:
        main(words)
    except ImportError as error:
        print(words[0], "needs", error.name, file=sys.stderr)
"""


def test_what_trains_says_so_before_it_loads_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    lines = [line.partition(" ")[2] if line[0].isdigit() else line for line in done.stderr.splitlines()]
    expected = [(_progress.LOADING, f"{command} needs torch") for command in ("run", "confirm", "refit", "worker")]
    assert lines == [line for pair in expected for line in pair]


SAYING = """
import contextlib, sys
from search.cli import _working, main
from search.store import connection, migrate
engine = connection.connect("sqlite:///store.db")
migrate.upgrade(engine)
engine.dispose()

@contextlib.contextmanager
def working(screen, what):
    print("says", what)
    yield print

_working.working = working
sys.modules["torch"] = None
for words in (["artifacts", "x", "--storage", "sqlite:///store.db"], ["backbones"]):
    try:
        main(words)
    except ImportError as error:
        print(words[0], "needs", error.name)
"""


def test_what_only_looks_says_so_before_it_loads_torch(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SAYING], check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "says looking for the checkpoints",
        "artifacts needs torch",
        "says loading libraries",
        "backbones needs torch",
    ]


def test_the_bar_of_a_run_names_the_winner_and_faults_are_lines_above_it(terminal: tuple[int, TextIO]) -> None:
    own, file = terminal
    screen = Console(file=file, force_terminal=True, width=80, highlight=False)
    chosen = TrialRecord(3, TrialState.COMPLETE, 0.7)
    with _progress.show(screen) as bars:
        bars.study_opened("accuracy", Progress(5, {TrialState.COMPLETE: 2}, None, stopping=False), lambda: chosen)
        bars.trial_started(4, "Tiny, " + "the first of many units frozen, " * 9, 3)
        bars.trial_ended(4, TrialState.COMPLETE, 0.9, "ran all 3 epochs")
        bars.trial_ended(5, TrialState.FAILED, None, "something odd")
    text = received(own)
    assert "trial 5: failed (something odd)" in text
    last = text[text.rindex("study") :]
    assert "4/5" in last, "however narrow the terminal is"
    assert "best accuracy 0.7000  3 complete  1 failed" in last


def test_lines_of_a_run_have_the_reports_names_and_numbers() -> None:
    written = io.StringIO()
    lines = _progress.Lines(Console(file=written, width=200))
    lines.study_opened("miou", Progress(3, {}, None, stopping=False), lambda: None)
    lines.epoch_done(2, EpochRecord(1, 71153418240.0, {"miou": 0.07612}, seconds=5.61))
    lines.trial_ended(2, TrialState.COMPLETE, 0.07612, "ran all 1 epochs")
    assert written.getvalue().splitlines()[1:] == [
        "trial 2: epoch 1, training loss 7.12e+10, mIoU 0.0761, 5.6 s",
        "trial 2: complete, best 0.0761 (ran all 1 epochs)",
    ]
