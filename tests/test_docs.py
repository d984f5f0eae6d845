"""What the README and the pages of docs/ show is there: links lead somewhere, every command runs as it stands."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from by_path import module_at
from PIL import Image

from search import cli
from search.api import export_study, run_study

ROOT = Path(__file__).parents[1]
PARTS = module_at("benchmarks/pictures.py").PARTS
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "studies" / "plugin" / "README.md"])
STUDY = """\
name: flowers
data: {path: photographs, val_share: 0.25, test_share: 0.2}
backbone: squeezenet1_1
weights: none
input_size: 32
space: {freeze: {}, tail: {high: 3}, head: {hidden: 1}, optimizer: {}}
training: {epochs: 1, batch_size: 9, augmentation: none}
search: {trials: 2, pruner: none}
"""

EXPORTS = "tests/search/lifecycle/test_every_export.py"
LAUNCHERS = "tests/search/workers/launchers"
ELSEWHERE = {
    "ftsearch init labels.csv": "tests/search/new_study/test_detect.py",
    "ftsearch init scans --task segmentation": "tests/search/new_study/test_detect.py",
    "ftsearch run flowers.yaml --workers 4 --per-gpu 2": "tests/search/workers/launchers/test_local.py",
    "ftsearch run flowers.yaml --launcher ray --address auto --workers 16": f"{LAUNCHERS}/test_ray.py",
    "ftsearch run flowers.yaml --launcher slurm --workers 16 --launcher-option partition=gpu"
    " --launcher-option timeout_min=240": "tests/search/workers/launchers/test_slurm.py",
    "ftsearch worker flowers --data /data/flowers --idle-exit 10m": "tests/search/cli/test_worker.py",
    "ftsearch worker flowers --optuna grpc://127.0.0.1:13000": "tests/search/sampling/test_optuna_storage.py",
    "ftsearch serve-storage --host 127.0.0.1 --port 13000": "tests/search/cli/test_serve_storage.py",
    "ftsearch status flowers --watch": "tests/search/cli/test_status.py",
    "ftsearch dashboard": "tests/search/cli/test_dashboard.py",
    "ftsearch rank flowers.yaml --all-local": "tests/search/cli/test_rank.py",
    "ftsearch run photographs.yaml": "tests/search/cli/test_run.py",
    "ftsearch plan photographs.yaml": "tests/search/cli/test_plan.py",
    "ftsearch predict detector photographs/ --threshold 0.4 --pictures drawn/": EXPORTS,
    "ftsearch predict segmenter photographs/ --masks masks/ --pictures drawn/": EXPORTS,
    "ftsearch predict sentiment reviews.csv --csv": EXPORTS,
    "ftsearch confirm flowers --top 3 --seeds 5": "tests/search/lifecycle/test_confirm.py",
    "ftsearch confirm flowers --folds 5": "tests/search/lifecycle/test_confirm.py",
    "ftsearch confirm flowers --fractions 0.1,0.25,1": "tests/search/lifecycle/test_confirm.py",
    "ftsearch confirm photographs": "tests/search/lifecycle/test_confirm.py",
    "ftsearch confirm quickstart --top 1 --seeds 3": "tests/search/lifecycle/test_confirm.py",
    "ftsearch run flowers.yaml --trials 60": "tests/search/cli/test_run.py",
}
"""Commands that need a cluster, minutes, or other data than the study here, and where they are run."""


def commands() -> dict[str, str]:
    """Return every command line that a page shows, with the page."""
    found = {}
    for page in PAGES:
        fenced = ""
        for line in page.read_text("utf-8").splitlines():
            if line.startswith("```"):
                fenced = "" if fenced else line
            text = line.strip().removeprefix("$ ") if (fenced or line.startswith("    ")) else ""
            if text.startswith("ftsearch "):
                found[" ".join(shlex.split(text, comments=True))] = page.name
    return found


SHOWN = commands()
COMMANDS: Any = typer.main.get_command(cli.build_app()).commands  # type: ignore[attr-defined]


def anchors(page: Path) -> set[str]:
    """Return what links to the headings of a page end in, as repository hosts make it of their words."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and not (target.exists() and (not heading or heading in anchors(target))):
            dead.append(link)
    assert dead == []


def test_pictures_are_shown_are_described_and_are_small() -> None:
    pictures = sorted((ROOT / "docs" / "pictures").iterdir())
    assert {picture.name for picture in pictures} == {*PARTS, "terminal.svg"}
    assert sum(picture.stat().st_size for picture in pictures) < 1_000_000
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert [
        picture.name for picture in pictures if not re.search(rf"!\[[^\]]{{20,}}\]\([^)]*{picture.name}\)", text)
    ] == []


def test_commands_of_the_recording_exist() -> None:
    recording = ElementTree.parse(ROOT / "docs" / "pictures" / "terminal.svg")
    text = recording.findtext("{http://www.w3.org/2000/svg}desc", "")
    typed = [line.removeprefix("$ ftsearch ") for line in text.split("\n") if line.startswith("$ ftsearch ")]
    assert len(typed) == len(module_at("benchmarks/pictures.py").COMMANDS)
    for line in typed:
        name, *arguments = shlex.split(line)
        COMMANDS[name].make_context(name, arguments)


def test_the_readme_is_short_and_every_page_is_listed() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
    for listing in (ROOT / "README.md", ROOT / "docs" / "README.md"):
        text = listing.read_text("utf-8")
        assert [page.name for page in (ROOT / "docs").glob("[a-z]*.md") if page.name not in text] == []


@pytest.mark.parametrize("line", SHOWN)
def test_a_command_that_is_shown_exists_with_its_options(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    COMMANDS[name].make_context(name, list(arguments))  # exits where an argument or option is not known


def test_commands_run_elsewhere_are_still_shown_and_run_there() -> None:
    assert set(ELSEWHERE) - set(SHOWN) == set()
    missing = [place for place in ELSEWHERE.values() if place.startswith("tests/") and not (ROOT / place).exists()]
    assert missing == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, a study file and a store in which its study has ended under three names."""
    root = tmp_path_factory.mktemp("world")
    for kind, name in enumerate(("red", "green", "blue")):
        (root / "photographs" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng(100 * kind + number).integers(0, 80, (32, 32, 3), dtype=np.uint8)
            pixels[..., kind] += 150
            Image.fromarray(pixels).save(root / "photographs" / name / f"{number}.png")
    for folder in ("new-photographs", "pictures"):
        shutil.copytree(root / "photographs" / "red", root / folder)
    (root / "flowers.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FTSEARCH_CACHE", str(root / "cache"))
        for name in ("flowers", "photographs", "quickstart"):
            (root / f"{name}.yaml").write_text(STUDY.replace("flowers", name))
            run_study(f"{name}.yaml", report=False)
        (root / "photographs.yaml").unlink()
    return root


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(world)
    monkeypatch.setenv("FTSEARCH_CACHE", str(world / "cache"))
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    return world


def order(line: str) -> tuple[int, str]:
    """Return when a command is run: what others need first, what takes something away last."""
    names = ["init", "export", "predict", "refit", "stop", "retry", "delete"]
    name = shlex.split(line)[1]
    return (names.index(name) if name in names[:2] else 2 + names.index(name) if name in names else 2), line


@pytest.mark.parametrize("line", sorted(set(SHOWN) - set(ELSEWHERE), key=order))
def test_a_command_that_is_shown_runs(line: str, here: Path) -> None:
    arguments = shlex.split(line)[1:]
    if arguments[0] == "export" and (here / "model").exists():
        shutil.rmtree(here / "model")
    if arguments[0] == "predict" and not (here / "model").exists():
        export_study("flowers", output="model")  # another process of the test run may have had that line
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = cli.main(arguments)
    assert code == 0, err.getvalue() + out.getvalue()
