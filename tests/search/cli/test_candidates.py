from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.cli._candidates import read_file, read_trial, study_of
from search.errors import UserError
from search.store import connection
from spaces.candidate import Candidate, Recipe, Structure

CANDIDATE = Candidate(Structure("torchvision:resnet18", "none", (64, 64), {}), Recipe({}))


def test_a_study_is_reported_from_its_trial() -> None:
    assert study_of("flowers:3") == "flowers"
    assert study_of("3") == ""


def test_a_candidate_is_read_from_what_best_prints(tmp_path: Path) -> None:
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"number": 3, "candidate": CANDIDATE.to_json()}))
    assert read_file(str(path)).candidate == CANDIDATE


@pytest.mark.parametrize("text", ["", "[1", '{"a": 1}', "7"])
def test_a_file_without_a_candidate_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"c\.json is not a candidate") as refused:
        read_file(str(path))
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="cannot read the candidate"):
        read_file(str(tmp_path / "nowhere.json"))


@pytest.mark.parametrize("text", ["", ":", "colours:"])
def test_a_trial_without_a_number_is_refused_with_what_was_expected(text: str, tmp_path: Path) -> None:
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    with pytest.raises(UserError, match=r"expected STUDY:TRIAL, TRIAL \(a number, best, baseline, refit\) or a file"):
        read_trial(engine, text, "colours")
    engine.dispose()
