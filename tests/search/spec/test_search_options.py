"""Options that no plug-in owns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.errors import SpecError
from search.sampling.pruners import Hyperband
from search.spec.load import from_data, load_spec, parse_spec
from spaces.candidate import Candidate, Recipe, Structure

PLAIN = "name: x\ndata: {path: here}\nbackbone: resnet18\n"


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, source="s.yaml")
    return str(caught.value).splitlines()


def test_search_settings_are_read_and_checked() -> None:
    search = parse_spec(
        PLAIN + "search: {pruner: hyperband, sampler: cost_aware, budget: {gpu_seconds: 2h}, warm_start: true}\n"
    ).search
    assert isinstance(search.pruner, Hyperband)
    assert search.sampler.name == "cost_aware"
    assert search.budget is not None
    assert search.budget.gpu_seconds == 7200.0
    assert search.warm_starts == 5
    assert parse_spec(PLAIN + "search: {warm_start: 3}\n").search.warm_starts == 3
    assert parse_spec(PLAIN).search.warm_starts == 0
    assert "search.budget.gpu_seconds" in faults(PLAIN + "search: {budget: {gpu_seconds: -1}}\n")[0]
    assert "did you mean 'gpu_seconds'" in faults(PLAIN + "search: {budget: {gpu_second: 1}}\n")[0]
    assert "warm_start" in faults(PLAIN + "search: {warm_start: -1}\n")[0]
    assert "search.seed: expected less than or equal to 4294967295" in faults(PLAIN + f"search: {{seed: {2**40}}}\n")[0]


def test_candidates_to_begin_with_are_read_from_their_files_and_travel_with_the_study(tmp_path: Path) -> None:
    plain = Candidate(Structure("torchvision:resnet18", "none", (32, 32), {"freeze": 2}), Recipe()).to_json()
    (tmp_path / "one.json").write_text(json.dumps({"candidate": plain, "value": 0.5}))
    path = tmp_path / "s.yaml"
    path.write_text(PLAIN + "search: {warm_start: [one.json, one.json]}\n")
    spec = load_spec(path)
    assert spec.search.candidates == (plain, plain)
    assert spec.search.warm_starts == 2
    (tmp_path / "one.json").unlink()
    assert from_data(json.loads(json.dumps(spec.to_json())), text=spec.text, base=spec.base) == spec
    assert parse_spec(PLAIN + "search: {warm_start: 2}\n").search.candidates == ()
    missing = faults(PLAIN + "search: {warm_start: [no.json]}\n")
    assert "s.yaml:4: search.warm_start: cannot read the candidate" in missing[0]
    assert "number 1 is not a candidate" in faults(PLAIN + "search: {warm_start: [{a: 1}]}\n")[0]
