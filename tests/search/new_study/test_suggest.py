from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.api import run_study
from search.errors import UserError
from search.new_study import suggest
from search.new_study.detect import recognise
from search.records.dataset_similarity import Traits
from search.records.study import DatasetRecord, StudyRecord, TrialState
from search.spec.load import load_spec
from search.store import connection, leases, migrate, repeats, writing
from search.store.connection import Engine
from search.store.repeats import CONFIRM, RetrainingRequest
from search.tasks import tasks
from spaces.candidate import Candidate, Recipe, Structure

HERE = Traits("classification", 100, 2, 1.0)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    found = connection.connect(f"sqlite:///{tmp_path}/store.db")
    migrate.upgrade(found)
    yield found
    found.dispose()


def plain(depth: int, backbone: str = "torchvision:squeezenet1_1") -> dict[str, Any]:
    return Candidate(Structure(backbone, "none", (32, 32), {"freeze": depth}), Recipe()).to_json()


def study(engine: Engine, name: str, images: int, values: list[float], *, depth: int = 0, **changes: Any) -> None:
    """Store a study of so many images a class; trial n freezes ``depth + n`` units."""
    dataset = DatasetRecord(name, ("a", "b"), {"train": {"a": images, "b": images}}, "f")
    record = StudyRecord(name, "classification", "accuracy", True, "torchvision:squeezenet1_1", "none", dataset, 9)
    record = replace(record, identity={}, spec={})
    writing.create_study(engine, replace(record, **changes))
    for number, value in enumerate(values):
        claim = leases.claim(engine, name, "w", 60)
        assert claim is not None
        writing.record_candidate(
            engine, claim, writing.Started(
            optuna_number=number, params={}, distributions={}, candidate=plain(depth + number),
            words=f"{name} {number}", is_baseline=number == 0, seed=0, versions={}, dataset_fingerprint="f",
        ))  # fmt: skip
        writing.finish_trial(
            engine,
            claim,
            writing.Ended(state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="", seconds=1.0),
        )


def found(engine: Engine, count: int = 9, **options: Any) -> list[tuple[str, int]]:
    return [(one.study, one.trial) for one in suggest.suggest(engine, HERE, count, **options)]


def test_the_nearest_study_comes_first_with_what_beat_its_plain_recipe(engine: Engine) -> None:
    study(engine, "huge", 50_000, [0.5, 0.6], depth=20)
    study(engine, "alike", 60, [0.5, 0.9, 0.4, 0.7, 0.8, 0.75], depth=0)
    assert found(engine) == [("alike", 1), ("alike", 4), ("alike", 5), ("huge", 1), ("alike", 3)]
    assert found(engine, 2) == [("alike", 1), ("alike", 4)]
    assert found(engine, leave_out=["alike"]) == [("huge", 1)]
    (first, *_) = suggest.suggest(engine, HERE)
    assert first.gain == pytest.approx(0.4)
    assert not first.confirmed


def test_where_nothing_beat_the_plain_recipe_the_best_of_the_rest_is_offered(engine: Engine) -> None:
    study(engine, "alike", 60, [0.9, 0.5, 0.6])
    assert found(engine) == [("alike", 2)]


def test_the_same_candidate_is_suggested_once(engine: Engine) -> None:
    study(engine, "alike", 50, [0.5, 0.9])
    study(engine, "huge", 50_000, [0.5, 0.9])
    assert found(engine) == [("alike", 1)]


def test_what_fresh_seeds_say_counts_more_than_what_the_search_saw(engine: Engine) -> None:
    study(engine, "alike", 50, [0.5, 0.9, 0.8])
    keys = [{"trial": trial, "seed": 1, "fold": 1, "folds": 1, "fraction": 1.0} for trial in (0, 2)]
    repeats.add(engine, "alike", CONFIRM, [RetrainingRequest(key, plain(0), "", 1) for key in keys])
    for value in (0.5, 0.85):
        claim = leases.claim(engine, repeats.name_of("alike", CONFIRM), "w", 60)
        assert claim is not None
        writing.finish_trial(
            engine,
            claim,
            writing.Ended(state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="", seconds=1.0),
        )
    assert found(engine) == [("alike", 2), ("alike", 1)]
    (first, *_) = suggest.suggest(engine, HERE)
    assert (first.value, first.confirmed) == (0.85, True)


def test_a_name_too_long_to_be_listed_hides_no_other_study(engine: Engine) -> None:
    study(engine, "near", 100, [0.5, 0.9])
    study(engine, "x" * 3000, 100, [0.5, 0.9])
    assert found(engine) == [("near", 1)]


def test_a_store_that_knows_nothing_says_so(engine: Engine) -> None:
    study(engine, "other", 50, [0.5], task="detection")
    study(engine, "open", 50, [])
    with pytest.raises(UserError, match="no study of the task classification in this store has a complete trial yet"):
        found(engine)
    with pytest.raises(UserError, match="with the backbone torchvision:resnet18"):
        found(engine, backbone="torchvision:resnet18")


def test_a_study_written_from_suggestions_begins_with_them(
    folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{tmp_path}/store.db"
    run_study(study_file, storage=url, report=False, trials=4)
    data = suggest.describe(folder)
    record, own = data.record, data.traits
    assert own.image_statistics == record.image_statistics != {}
    offers = suggest.suggest(engine, own)
    assert offers[0].apart < 0.1
    path = suggest.write(tmp_path / "new", offers, data, engine)
    spec = load_spec(path)
    assert (spec.name, len(spec.search.candidates)) == ("new", len(offers))
    result = run_study(path, storage=url, report=False, trials=2)
    assert result.study.trials[1].candidate == offers[0].candidate.to_json()
    assert result.study.trials[1].extras["origin"]["study"] == "study file"
    with pytest.raises(UserError, match=r"study.yaml exists; name another folder with -o"):
        suggest.write(tmp_path / "new", offers, data, engine)


def test_data_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist; name the folder"):
        suggest.describe(tmp_path / "nowhere")
    with pytest.raises(UserError, match="--task: expected one of"):
        suggest.describe(tmp_path, "cooking")


NAMES = [f"{number:02d}" for number in range(6)]


def voc(layout: Any) -> None:
    for name in NAMES:
        layout.picture(f"images/{name}.png")
        layout.voc(f"annotations/{name}.xml")


def yolo(layout: Any) -> None:
    layout.write("data.yaml", "path: .\ntrain: images\nnames: [cat, dog]\n")
    for name in NAMES:
        layout.picture(f"images/{name}.png")
        layout.write(f"labels/{name}.txt", "1 0.5 0.5 0.3 0.3\n")


def labels(layout: Any) -> None:
    layout.picture(*(f"train/{name}.png" for name in NAMES))
    rows = [f"{name}.png, {int(name) % 2}, {int(name) // 2 % 2}" for name in NAMES]
    layout.write("train/_classes.csv", "\n".join(["filename, cat, dog", *rows]))


def masks(layout: Any) -> None:
    layout.picture(*(f"images/{name}.jpg" for name in NAMES))
    layout.mask(*(f"masks/{name}_mask.png" for name in NAMES), values=(0, 255))


@pytest.mark.parametrize(
    ("written", "task"), [(voc, "detection"), (yolo, "detection"), (labels, "multilabel"), (masks, "segmentation")]
)
def test_folders_of_images_and_of_what_belongs_to_them_are_no_classes(
    layout: Any, written: Any, task: str, engine: Engine, tmp_path: Path
) -> None:
    """They are recognised as by ``init``, and the study file that is written reads them so."""
    written(layout)
    data = suggest.describe(layout.root)
    assert data.recognised == recognise(layout.root)
    assert data.recognised.task == task
    plain = {"name": "near", "task": task, "data": {"path": "old"}, "backbone": "squeezenet1_1", "weights": "none"}
    spec = {"study": plain | {"search": {"trials": 3}}, "base": "."}
    metric = next(iter(tasks()[task].directions))
    study(engine, "near", 3, [0.5, 0.9], task=task, metric=metric, spec=spec)
    study(engine, "classes", 3, [0.5, 0.9])
    offers = suggest.suggest(engine, data.traits)
    assert {one.study for one in offers} == {"near"}
    written_to = load_spec(suggest.write(tmp_path / "new", offers, data, engine))
    assert (written_to.task, written_to.data_format) == (task, data.recognised.format)
    assert Path(written_to.data.path) == layout.root


def test_data_for_two_tasks_are_refused_as_by_init(layout: Any) -> None:
    layout.picture(*(f"images/{name}.png" for name in NAMES))
    layout.coco("annotations.json", [f"{name}.png" for name in NAMES], segmentation=[[2, 3, 10, 3, 10, 12]])
    with pytest.raises(UserError, match=r"say which with --task detection or --task segmentation"):
        suggest.describe(layout.root)
    assert suggest.describe(layout.root, "detection").recognised.format == "coco"
