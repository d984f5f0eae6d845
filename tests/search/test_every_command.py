"""Every command keeps the rules of its room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from pkgutil import iter_modules

import pytest

from search import cli

COMMANDS = [found.name for found in iter_modules(cli.__path__) if not found.name.startswith("_")]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name.replace("_", "-"), "--help"]) == 0
    module = import_module(f"search.cli.{name}")
    first = (module.__doc__ or "").split(";")[0].split(":")[0].split(".")[0].split()
    shown = " ".join(capsys.readouterr().out.split())
    assert " ".join(first[:4]) in shown
    assert module.SECTION in cli.SECTIONS


def test_help_and_version_load_neither_torch_nor_optuna() -> None:
    program = (
        "import sys; from search.cli import main; code = main(['--help'])\n"
        "heavy = {'torch', 'optuna', 'sqlalchemy', 'plotly', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(code or bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0
    assert cli.main(["--version"]) == 0


def test_a_command_ends_without_walking_through_all_that_was_loaded() -> None:
    program = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count() > len(gc.get_objects())))\n"
        "from search.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"


def test_reviewing_loads_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom search.report import page, figures, findings, tables\n"
        "from search.store import reading, writing\n"
        "from search.records import study\nfigures.figures()\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False).returncode == 0


def test_what_only_some_commands_need_is_loaded_by_these_alone(
    tmp_path: Path, start_program: Callable[..., BaseProcess]
) -> None:
    program = (
        "import sys, search.api, search.cli._prediction, search.lifecycle.export, search.tasks\nsearch.tasks.tasks()\n"
        "print('loaded', *{'sklearn', 'scipy', 'pandas', 'torchmetrics', 'transformers'} & set(sys.modules))"
    )
    start_program(program, output=tmp_path / "loaded.txt").join()
    assert (tmp_path / "loaded.txt").read_text() == "loaded\n"


def test_another_package_named_spaces_is_reported_from_ours(tmp_path: Path) -> None:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "__init__.py").touch()
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom search.cli import main\nsys.exit(main(['--help']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "another package named 'spaces'" in done.stderr


def test_memory_that_runs_out_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def app(**_: object) -> None:
        raise MemoryError("Unable to allocate 447. GiB")

    monkeypatch.setattr(cli, "build_app", lambda: app)
    assert cli.main(["plan", "a.yaml"]) == 1
    said = capsys.readouterr().err
    assert said == "Error: out of memory: Unable to allocate 447. GiB; use a smaller input_size\n"


def test_an_error_is_cut_and_obeyed_by_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(f'name: "{"a" * 100_000}\\e[2J"\ndata: d\nbackbone: "transformers:{"x" * 10_000}"\n')
    assert cli.main(["plan", str(study)]) == 2
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert len(told) < 10_000
    study.write_text(f'name: s\ndata: d\nbackbone: "transformers:{"x" * 10_000}"\n')
    assert cli.main(["plan", str(study)]) == 2
    assert "study.yaml:3: backbone: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [("init", "{long}"), ("plan", "{long}.yaml"), ("plan", "study.yaml"), ("predict", "{long}", "a.png")],
    ids=["init", "plan", "data", "predict"],
)
def test_a_path_that_no_file_system_takes_is_one_line(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    long = "/" + "x" * 5000
    Path("study.yaml").write_text(f"name: s\ndata: {{format: image_folder, path: {long}}}\nbackbone: squeezenet1_1\n")
    assert cli.main([argument.format(long=long) for argument in arguments]) in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ")
    assert "File name too long" in line


@pytest.mark.parametrize(("output", "code"), [(">&-", 0), ("> /dev/full", 1)])
def test_output_that_is_closed_or_full_ends_in_no_traceback(output: str, code: int, tmp_path: Path) -> None:
    program = f"exec {sys.executable} -m search --help {output}"  # the only output that needs no torch
    done = subprocess.run(["sh", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == code
    assert done.stderr == ("Error: cannot write: No space left on device\n" if code else "")
