from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.errors import UserError
from search.spec.candidates import given, is_file, read_candidate
from spaces.candidate import Candidate, Recipe, Structure

PLAIN = Candidate(Structure("torchvision:resnet18", "none", (32, 32), {"freeze": 2}), Recipe()).to_json()


def test_a_candidate_is_read_by_itself_or_out_of_a_trial(tmp_path: Path) -> None:
    for name, content in (("own.json", PLAIN), ("trial.json", {"number": 3, "candidate": PLAIN})):
        (tmp_path / name).write_text(json.dumps(content))
        assert read_candidate(tmp_path / name).to_json() == PLAIN
    assert given(["own.json", PLAIN], tmp_path) == (PLAIN, PLAIN)


def test_files_and_model_folders_are_reported_from_names_of_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "candidate.json").write_text(json.dumps(PLAIN))
    assert [is_file(text) for text in ("a.json", "./model", "model")] == [True] * 3
    assert [is_file(text) for text in ("3", "best", "flowers:3")] == [False] * 3
    assert read_candidate(Path("model")).to_json() == PLAIN


def test_what_is_none_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.json").write_text("hello")
    (tmp_path / "other.json").write_text('{"a": 1}')
    for name, message in (
        ("missing.json", "cannot read the candidate .*missing.json: No such file"),
        ("text.json", "text.json is not a candidate: Expecting value"),
        ("other.json", "other.json is not a candidate: candidate has missing keys"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            given([name], tmp_path)
        assert len(str(caught.value).splitlines()) == 1
