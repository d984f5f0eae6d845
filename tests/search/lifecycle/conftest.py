"""A store with a finished study, for what is done with whole studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.api import run_study


@pytest.fixture
def url(folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a store with a finished study of three trials, whose data have test images."""
    text = study_file.read_text().replace("val_share: 0.25", "val_share: 0.25, test_share: 0.2")
    study_file.write_text(text.replace("trials: 2", "trials: 3") + "faults: {lease: 2}\n")
    monkeypatch.chdir(tmp_path)
    found = f"sqlite:///{tmp_path}/store.db"
    run_study(study_file, storage=found, report=False)
    return found
