from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy

from search.errors import DatabaseError, NotFoundError
from search.records.plain_text import LONGEST_LINE
from search.records.study import EpochRecord, StudyRecord, TrialState
from search.store import aggregates, leases, reading, repeats, writing
from search.store.connection import Engine
from search.store.history import StudyHistory, optuna_trials
from search.store.tables import StudyRow, TrialRow


@pytest.fixture
def filled(engine: Engine, record: StudyRecord) -> Engine:
    writing.create_study(engine, replace(record, target=6))
    for value in (0.5, 0.9, 0.7, 0.6):
        claim = leases.claim(engine, "s", "w", 60)
        assert claim is not None
        epochs = [EpochRecord(1, 1.0, {"accuracy": value / 2}), EpochRecord(2, 0.5, {"accuracy": value})]
        writing.record_epochs(engine, claim, epochs)
        state = TrialState.PRUNED if value == 0.6 else TrialState.COMPLETE
        writing.finish_trial(
            engine, claim, writing.Ended(state=state, value=value, best_epoch=2, evaluation=None, ended="", seconds=1.0,
            checkpoint=f"t{claim.number}",
        ))  # fmt: skip
    leases.claim(engine, "s", "w", 60)
    return engine


def test_samples_of_older_studies_are_called_images_or_texts(engine: Engine, record: StudyRecord) -> None:
    for inputs, noun in (("images", "images"), ("tokens", "texts")):
        dataset = replace(record.dataset, inputs=inputs, noun="")
        writing.create_study(engine, replace(record, name=inputs, dataset=dataset))
        assert reading.load_study(engine, inputs).dataset.noun == noun


def test_progress_counts_without_reading_trials(filled: Engine) -> None:
    progress = reading.progress(filled, "s")
    assert (progress.target, progress.finished, progress.unfinished) == (6, 4, 1)
    assert progress.baseline is None  # no trial is marked as the plain recipe


def test_progress_names_what_the_plain_recipe_reached(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    plain = {"params": {}, "distributions": {}, "candidate": {}, "words": "plain", "versions": {}}
    writing.record_candidate(
        engine, claim, writing.Started(optuna_number=0, is_baseline=True, seed=1, dataset_fingerprint="", **plain)
    )
    ended = writing.Ended(
        state=TrialState.COMPLETE, value=0.5, best_epoch=1, evaluation=None, ended="", seconds=1.0, checkpoint=None
    )
    writing.finish_trial(engine, claim, ended)
    assert reading.progress(engine, "s").baseline == 0.5


def test_the_ranking_is_of_complete_trials_only(filled: Engine) -> None:
    study = reading.load_study(filled, "s")
    assert [trial.number for trial in study.ranking] == [1, 2, 0]
    assert [-key[0] for key in reading.best_rank_keys(filled, "s", 2)] == [0.9, 0.7]
    assert [number for number, _ in reading.kept_checkpoints(filled, "s")] == [1, 2, 0, 3]


def test_curves_are_left_out_when_nobody_needs_them(filled: Engine) -> None:
    assert len(reading.load_study(filled, "s").trials[0].epochs) == 2
    assert reading.load_study(filled, "s", epochs=False).trials[0].epochs == ()


def test_studies_are_listed_the_newest_first(filled: Engine, record: StudyRecord) -> None:
    writing.create_study(filled, replace(record, name="later"))
    assert [summary.name for summary in reading.list_studies(filled)] == ["later", "s"]


def test_states_of_trials_are_read_without_their_candidates(filled: Engine) -> None:
    assert [trial.state.value for trial in reading.trial_states(filled, "s")] == [
        *["complete"] * 3,
        "pruned",
        "running",
    ]


def test_an_unknown_study_gets_the_nearest_name(filled: Engine, record: StudyRecord) -> None:
    writing.create_study(filled, replace(record, name="flowers"))
    with pytest.raises(NotFoundError, match="did you mean 'flowers'"):
        reading.load_study(filled, "flowrs")


def test_what_optuna_knows_is_listed_by_its_number(filled: Engine) -> None:
    assert optuna_trials(filled, "s") == {}


CHANGES = [
    "ft_trial SET value = 'x'",
    "ft_trial SET state = 'bogus'",
    "ft_trial SET candidate = '{'",
    "ft_trial SET candidate = '[1]'",
    "ft_trial SET evaluation = '[1, 2]'",
    "ft_trial SET extras = '[1]'",
    "ft_trial SET params = '3'",
    'ft_trial SET evaluation = \'{"classes": [], "confusion": [["x"]]}\'',
    "ft_trial SET started_at = 'x'",
    f"ft_trial SET extras = '{'[' * 50_000}'",
    "ft_study SET dataset = '{}'",
    "ft_study SET units = '{\"a\": 1}'",
    "ft_study SET target = 'many'",
    "ft_trial SET attempts = 'x'",
    "ft_trial SET seconds = 'long'",
    "ft_trial SET parameters = 1, trained = 1, flops = 'x'",
    "ft_trial SET parameters = 1, trained = 1, flops = 1, unit_states = '3'",
    f"ft_trial SET params = '{{\"depth\": 1{'0' * 400}}}'",
    'ft_trial SET evaluation = \'{"classes": [], "confusion": [[1], [2, 3]]}\'',
    "ft_study SET versions = '[1]'",
    "ft_trial SET versions = '[1]'",
    "ft_trial SET distributions = '3'",
    "ft_trial SET constraints = '3'",
    "ft_study SET dataset = json_set(dataset, '$.counts', 'x')",
    "ft_study SET dataset = json_set(dataset, '$.sizes', 3)",
    "ft_study SET spec = '3'",
    "ft_study SET spec = '[]'",
    'ft_study SET spec = \'{"study": "x"}\'',
    'ft_study SET spec = \'{"study": {"objectives": [3]}}\'',
    "ft_epoch SET metrics = '3'",
    "ft_study SET identity = '[1]'",
    "ft_study SET identity = '3'",
    "ft_study SET identity = '{\"input_size\": [3]}'",
    'ft_study SET identity = \'{"input_size": ["x", 1]}\'',
    "ft_trial SET extras = '{\"cost\": 3}'",
    'ft_trial SET extras = \'{"cost": {"epochs": "x"}}\'',
    'ft_trial SET extras = \'{"cost": {"epochs": {"$number": "inf"}}}\'',
    'ft_trial SET extras = \'{"known": {"flops": []}}\'',
    'ft_trial SET extras = \'{"prior": "x"}\'',
    "ft_trial SET extras = '{\"marks\": 3}'",
    'ft_trial SET extras = \'{"origin": "x"}\'',
    'ft_trial SET objectives = \'{"accuracy": "x"}\'',
    "ft_trial SET constraints = '{\"flops\": []}'",
    'ft_epoch SET metrics = \'{"accuracy": "x"}\'',
    "ft_epoch SET learning_rates = '{\"head\": {}}'",
    'ft_study SET units = \'[{"name": "a", "parameters": "x", "flops": 1, "reduction": 1}]\'',
    'ft_study SET units = \'[{"name": "a", "parameters": 1, "flops": [], "reduction": 1}]\'',
    'ft_trial SET evaluation = \'{"classes": [], "confusion": [], "resampled": [1]}\'',
    'ft_trial SET evaluation = \'{"classes":[],"confusion":[],"measured":[{"name":"a", "values":{}, "support":"x"}]}\'',
    "ft_study SET dataset = json_set(dataset, '$.sizes', json('{\"val\": \"x\"}'))",
]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # others check what is written to a column
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change[:40])
def test_a_row_that_was_changed_by_hand_is_one_line(filled: Engine, change: str) -> None:
    with filled.begin() as connection:
        connection.execute(sqlalchemy.text(f"UPDATE {change.replace(':', chr(92) + ':')}"))  # no parameters
    with pytest.raises(DatabaseError, match=r"^the store holds something that cannot be read \(\w+: [^\n]*by hand"):
        reading.load_study(filled, "s")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", ["ft_study SET target = 'many'", "ft_trial SET value = 'good'"])
def test_so_is_a_number_of_a_study_that_is_none(filled: Engine, change: str) -> None:
    with filled.begin() as connection:
        connection.execute(sqlalchemy.text(f"UPDATE {change}"))
    for read in (lambda: reading.winner(filled, "s"), lambda: reading.list_studies(filled)):
        with pytest.raises(DatabaseError, match="cannot be read"):
            read()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("column", ["objectives", "constraints"])
def test_so_is_a_quantity_that_is_no_number_however_trials_are_read(filled: Engine, column: str) -> None:
    with filled.begin() as connection:
        values = {"optuna_number": 0, column: {"flops": "x"}}
        connection.execute(sqlalchemy.update(TrialRow).values(values))
    for read in (
        lambda: optuna_trials(filled, "s"),
        lambda: aggregates.outline(filled, "s"),
        lambda: StudyHistory(filled, "s", "accuracy").refresh(),
    ):
        with pytest.raises(DatabaseError, match="cannot be read"):
            read()


def test_the_place_of_checkpoints_may_have_been_changed_too(filled: Engine) -> None:
    with filled.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE ft_study SET artifacts = '[1]'"))
    with pytest.raises(DatabaseError, match="cannot be read"):
        reading.artifacts_of(filled, "s")


def test_stored_text_cannot_control_a_terminal(filled: Engine) -> None:
    with filled.begin() as connection:
        for column in ("words", "ended", "failure_kind", "failure_message", "failure_traceback"):
            connection.execute(sqlalchemy.text(f"UPDATE ft_trial SET {column} = :bad"), {"bad": "\x1b[2J"})
    trials = reading.load_study(filled, "s").trials
    assert trials
    for one in trials:
        assert one.failure is not None
        assert "\x1b" not in f"{one.words}{one.ended}{one.failure.kind}{one.failure.message}{one.failure.traceback}"
    assert all("\x1b" not in f"{one.words}{one.ended}" for one in reading.trial_states(filled, "s"))


def test_stored_text_of_a_study_or_its_data_cannot_control_a_terminal(filled: Engine) -> None:
    bad = "\x1b]0;x\x07" + "x" * 60_000
    overlap = {"split": "val", "count": 3, "total": 9, "first": bad}
    with filled.begin() as connection:
        dataset = connection.execute(sqlalchemy.select(StudyRow.dataset)).scalars().first()
        evil = {**dataset, "name": bad, "classes": [bad], "skipped": [bad], "noun": bad, "overlaps": [overlap]}
        connection.execute(sqlalchemy.update(StudyRow).values(dataset=evil, backbone="\x1b[2J", weights="\x1b[2J"))
    study, (summary, *_) = reading.load_study(filled, "s"), reading.list_studies(filled)
    data = study.dataset
    for text in (data.name, *data.classes, *data.skipped, data.noun, data.leak, study.backbone, study.weights):
        assert text.isprintable()
        assert len(text) <= 3 * LONGEST_LINE
    assert f"{summary.backbone}{summary.leak}".isprintable()


def test_the_list_of_studies_has_the_winner_that_was_chosen_and_not_the_best_single_value(
    filled: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation cannot tell any of the four apart; the calibrated loss decides, or else new trainings do."""
    losses = sqlalchemy.text("UPDATE ft_trial SET extras = :extras WHERE number = :number")
    with filled.begin() as connection:
        connection.execute(sqlalchemy.update(StudyRow).values(metric="accuracy", dataset=_few_samples(connection)))
        for number, loss in enumerate((0.9, 0.5, 0.2)):
            connection.execute(losses, {"extras": f'{{"calibrated_loss": {loss}}}', "number": number})
    for most in (50, 1):
        monkeypatch.setattr(reading, "_FEW", most)
        study, (summary,) = reading.load_study(filled, "s"), reading.list_studies(filled)
        assert study.best is not None
        assert (study.best.number, summary.best) == (2, 0.7)
    candidates = [repeats.RetrainingRequest({"trial": one, "seed": 1}, {}, "w", 1) for one in (0, 1)]
    repeats.add(filled, "s", repeats.CONFIRM, candidates)
    with filled.begin() as connection:
        done = "UPDATE ft_trial SET state = 'complete', value = :value WHERE words = 'w' AND number = :number"
        for number, value in enumerate((0.9, 0.2)):
            connection.execute(sqlalchemy.text(done), {"number": number, "value": value})
    study, (summary,) = reading.load_study(filled, "s"), reading.list_studies(filled)
    assert study.best is not None
    assert (study.best.number, summary.best) == (0, 0.5)


def _few_samples(connection: sqlalchemy.Connection) -> object:
    dataset = connection.execute(sqlalchemy.select(StudyRow.dataset)).scalars().first()
    return {**dataset, "sizes": {"train": 9, "val": 4}}


def test_long_stored_text_is_cut(filled: Engine) -> None:
    """Anyone who can write to a shared store could break all tables with it (a column holds up to 65,535 bytes)."""
    with filled.begin() as connection:
        for column in ("words", "ended"):
            connection.execute(sqlalchemy.text(f"UPDATE ft_trial SET {column} = :long"), {"long": "x" * 60_000})
    for one in (*reading.load_study(filled, "s").trials, *reading.trial_states(filled, "s")):
        assert len(one.words) <= LONGEST_LINE + 1
        assert len(one.ended) <= LONGEST_LINE + 1
