from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report import ranking_table


def test_the_ranking_holds_every_trial_the_best_first(study: StudyRecord) -> None:
    rows = ranking_table.rows(study)
    assert len(rows) == len(study.trials)
    assert study.best is not None
    assert (rows[0].rank, rows[0].number) == ("1", str(study.best.number))
    assert rows[-1].state == "failed"


def test_the_winner_is_marked_wherever_it_ranks(study: StudyRecord) -> None:
    study = replace(study)  # whose winner is set here
    second = study.ranking[1]
    plain = next(trial for trial in study.ranking if trial.is_baseline)
    for winner, state in ((second, "winner"), (plain, "winner, plain recipe")):
        study.__dict__["best"] = winner
        rows = {row.number: row for row in ranking_table.rows(study)}
        assert rows[str(winner.number)].state == state
        assert ranking_table.kind(rows[str(winner.number)]) == "best"
        assert [row.number for row in rows.values() if "winner" in row.state] == [str(winner.number)]
    study.__dict__["best"] = second
    kinds = {row.number: ranking_table.kind(row) for row in ranking_table.rows(study)}
    assert kinds[str(plain.number)] == "plain"
    assert sorted(filter(None, kinds.values())) == ["best", "plain"]


def test_every_column_has_its_heading(study: StudyRecord) -> None:
    headings = ranking_table.headings(study)
    assert len(headings) == len(ranking_table.Row._fields)
    assert headings[3] == "accuracy"


def test_ten_thousand_trials_are_ranked_quickly(study: StudyRecord) -> None:
    many = tuple(replace(study.trials[1 + number % 20], number=number) for number in range(10_000))
    assert len(ranking_table.rows(replace(study, trials=many), 50)) == 50


def test_what_all_candidates_share_is_said_once(study: StudyRecord) -> None:
    common = ranking_table.constant_parts(study.trials)
    assert common
    assert ranking_table.shared(study) == f"All of them: {', '.join(common)}."
    assert ranking_table.shared(replace(study, trials=study.trials[:1])) == ""
    for whole, short in zip(ranking_table.rows(study), ranking_table.rows(study, common=common), strict=True):
        left = [part for part in whole.words.split(", ") if part not in common]
        assert short.words == (", ".join(left) or whole.words)
        assert short[:-1] == whole[:-1]
