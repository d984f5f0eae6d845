from __future__ import annotations

import json
import math
from datetime import datetime

from search.records.study import StudyRecord
from search.report.trial_data import finite, plain, rows


def test_a_trial_is_json(study: StudyRecord) -> None:
    data = json.loads(json.dumps(plain(study.trials[1])))
    assert (data["number"], data["state"], data["params"]["freeze"]) == (
        1,
        "complete",
        study.trials[1].params["freeze"],
    )


def test_a_trials_times_can_be_read_back(study: StudyRecord) -> None:
    trial = study.trials[1]
    data = plain(trial)
    assert trial.started_at is not None
    assert [datetime.fromisoformat(data[name]) for name in ("started_at", "finished_at")] == [
        trial.started_at,
        trial.finished_at,
    ]


def test_every_parameter_is_a_column(study: StudyRecord) -> None:
    found = rows(study)
    assert len(found) == len(study.trials)
    assert {"number", "value", "freeze", "tail", "optimizer.name"} <= set(found[0])
    assert len({tuple(row) for row in found}) == 1


def test_what_json_has_no_word_for_is_null() -> None:
    assert finite({"a": [math.nan, 1.0, {"b": math.inf}]}) == {"a": [None, 1.0, {"b": None}]}
