"""Every study file that ships is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.spec.load import load_spec

FILES = sorted((Path(__file__).parents[1] / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_file_that_ships_is_valid(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name
    assert spec.search.trials >= 1


def test_the_quickstart_is_what_the_readme_says() -> None:
    spec = load_spec(next(path for path in FILES if path.stem == "quickstart"))
    assert (spec.name, spec.data_format, spec.backbone) == ("quickstart", "digits", "torchvision:mobilenet_v2")
    assert spec.search.trials >= 16
