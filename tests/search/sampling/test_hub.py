"""Samplers of OptunaHub: found on this machine only."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from search.errors import UserError
from search.sampling import hub, samplers
from search.sampling.samplers import SamplerOptions, View

MIDDLE = """
from optuna.samplers import BaseSampler

__all__ = ["MiddleSampler"]


class MiddleSampler(BaseSampler):
    def __init__(self, seed=None):
        self.seed = seed

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        return (param_distribution.low + param_distribution.high) / 2
"""


def package(folder: Path, text: str, name: str = "samplers/middle") -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)


def test_a_sampler_of_a_folder_proposes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, MIDDLE)
    monkeypatch.setenv(hub.FOLDER, str(tmp_path))
    own = samplers.make(SamplerOptions(name="optunahub:samplers/middle"), 7)
    study = optuna.create_study(storage=View([]), sampler=own)
    assert study.ask().suggest_float("x", 0.0, 3.0) == 1.5
    assert own.seed == 7  # type: ignore[attr-defined]


def test_a_sampler_of_an_installed_package_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path, MIDDLE, "middle_of_hub")
    monkeypatch.delenv(hub.FOLDER, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    assert type(hub.make("optunahub:middle_of_hub", 0)).__name__ == "MiddleSampler"


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("samplers/absent", None, "no package 'samplers/absent'"),
        ("../outside", None, "expected optunahub:samplers/NAME"),
        ("samplers/broken", "raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("samplers/none", "x = 1", "expected one sampler in the package, found none"),
        ("samplers/two", MIDDLE.replace("__all__", "_all") + "\nclass Other(MiddleSampler): pass\n", "Other"),
        ("samplers/needy", MIDDLE.replace("seed=None", "space"), "cannot be made of a seed alone"),
    ],
)
def test_what_cannot_be_had_is_refused(
    name: str, text: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is not None:
        package(tmp_path, text, name)
    monkeypatch.setenv(hub.FOLDER, str(tmp_path))
    with pytest.raises(UserError, match=why):
        hub.make(f"optunahub:{name}", 0)


def test_a_folder_is_never_taken_from_a_study_file() -> None:
    with pytest.raises(ValueError, match="sampler must be"):
        SamplerOptions(name="./samplers/middle")
