"""Studies are opened from files, mappings and the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from search.api import run_study
from search.errors import UserError
from search.lifecycle.open import stored_spec
from search.records.study import DatasetRecord, StudyRecord
from search.spec.load import parse_spec


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(study_file: Path) -> None:
    with pytest.raises(UserError, match="cannot write to the output folder"):
        run_study(study_file, storage="sqlite:///s.db", folder="/proc/nowhere")


def test_a_device_that_is_not_there_is_refused(study_file: Path) -> None:
    with pytest.raises(UserError, match="CUDA devices"):
        run_study(study_file, device="cuda:77")


def test_data_without_a_folder_cannot_be_elsewhere(tmp_path: Path) -> None:
    spec = parse_spec("name: s\ndata: {format: digits}\nbackbone: squeezenet1_1\n")
    dataset = DatasetRecord("digits", ("0", "1"), {}, "f")
    record = StudyRecord("s", "classification", "accuracy", True, spec.backbone, "none", dataset, 1)
    record = replace(record, spec={"study": spec.to_json(), "base": str(tmp_path)}, spec_text=spec.text)
    assert stored_spec(record).data_format == "digits"
    with pytest.raises(UserError, match="--data: data of the format digits lie in no folder; leave it out"):
        stored_spec(record, tmp_path)


def test_a_study_may_be_given_as_data(folder: Path) -> None:
    result = run_study(
        {
            "name": "data",
            "data": {"path": str(folder)},
            "backbone": "squeezenet1_1",
            "weights": "none",
            "input_size": 32,
            "space": {"freeze": {}},
            "training": {"epochs": 1},
            "search": {"trials": 1},
        },
        report=False,
    )
    assert result.study.name == "data"
