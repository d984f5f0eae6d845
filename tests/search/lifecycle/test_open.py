"""Studies are opened from files, mappings and the store."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.api import run_study
from search.errors import DatabaseError, UserError
from search.lifecycle.open import stored_spec
from search.records.study import DatasetRecord, StudyRecord
from search.spec.load import parse_spec


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(study_file: Path) -> None:
    with pytest.raises(UserError, match="cannot write to the output folder"):
        run_study(study_file, storage="sqlite:///s.db", folder="/proc/nowhere")


def test_a_missing_device_is_refused(study_file: Path) -> None:
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


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"path": "/etc"}, "path"),
        ({"path": "data/../../other"}, "path"),
        ({"path": "data/link"}, "path"),
        ({"masks": "../../other"}, "masks"),
        ({"images": "/etc"}, "images"),
        ({"images": "~/other"}, "images"),
    ],
)
def test_a_store_does_not_choose_which_folders_of_a_machine_are_read(
    change: dict[str, str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    base, allowed = tmp_path / "study", tmp_path / "study" / "data"
    for folder in (allowed / "images", allowed / "masks", tmp_path / "other"):
        folder.mkdir(parents=True)
    (allowed / "link").symlink_to(tmp_path / "other")
    text = "name: s\ntask: segmentation\ndata: {format: mask_folder, path: data}\nbackbone: squeezenet1_1\n"
    spec = parse_spec(text)
    record = StudyRecord(
        "s", spec.task, "miou", True, spec.backbone, "none", DatasetRecord("d", ("0", "1"), {}, "f"), 1
    )
    plain = spec.to_json()
    record = replace(record, spec={"study": plain, "base": str(base)}, spec_text=text)
    changed = replace(record, spec={"study": {**plain, "data": {**plain["data"], **change}}, "base": str(base)})
    assert stored_spec(changed).base == base
    monkeypatch.setenv("FTSEARCH_DATA", f"/nowhere{os.pathsep}{allowed}")
    assert stored_spec(record).data_format == "mask_folder"
    with pytest.raises(
        UserError, match=rf"data\.{word} is .* in the store, which is outside of FTSEARCH_DATA .*--data"
    ):
        stored_spec(changed)
    if word == "path":
        assert stored_spec(changed, tmp_path / "other").base == base  # who says so here may read anything


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


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "the store holds no study file of 's'; its row was changed by hand"),
        ([1], "holds no study file"),
        ({"study": 3, "base": "."}, "holds no study file"),
        ({"study": {"data": {}}, "base": 3}, "holds no study file"),
        ({"study": {"data": 3}, "base": "."}, "holds no study file"),
        ({"study": {"data": {"path": "x"}}, "base": "."}, "'s' in the store cannot be read: name: this key is needed"),
        ({"study": {"name": "s", "backbone": "b", "data": {"path": 3}}, "base": "."}, "cannot be read: .*path"),
        (
            {"study": {"name": "s", "backbone": "squeezenet1_1", "data": {"path": "x"}, "serach": {}}, "base": "."},
            "cannot be read: .*serach: unknown key",
        ),
    ],
)
def test_a_study_file_that_was_changed_in_the_store_is_one_line(spec: Any, said: str) -> None:
    dataset = DatasetRecord("d", ("0", "1"), {}, "f")
    record = StudyRecord("s", "classification", "accuracy", True, "b", "none", dataset, 1, spec=spec)
    with pytest.raises(DatabaseError, match=said) as told:
        stored_spec(record)
    assert "\n" not in str(told.value)
