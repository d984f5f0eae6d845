from __future__ import annotations

from pathlib import Path

import pytest
import torch

from search.api import run_study
from search.errors import DataError, UserError
from search.ranking import rank
from search.ranking.options import RankOptions, parse_limits
from search.ranking.rank import rank_backbones, trials_of
from spaces import backbones
from spaces.errors import BackboneError

SMALL = "squeezenet1_1"


@pytest.fixture
def weighted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which the weights of SqueezeNet 1.1 lie, and no network."""
    hub = tmp_path / "hub"
    (hub / "checkpoints").mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    backbone = backbones.resolve(SMALL)
    torch.manual_seed(0)
    torch.save(backbone.build((64, 64)).state_dict(), hub / "checkpoints" / backbone.weights[0].file_name)
    monkeypatch.setattr("spaces.backbones._weights.verified", lambda path: path)
    monkeypatch.setattr("spaces.backbones._base.files.verified", lambda path: path)

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    return hub


def test_a_backbone_is_scored_by_every_estimator(study_file: Path, weighted: Path) -> None:
    found = rank_backbones(study_file, RankOptions(names=[SMALL], layers=3), storage="sqlite:///nowhere.db")
    (backbone_score,) = found.backbone_scores
    assert set(backbone_score.scores) == set(found.titles) == {"logme", "hscore", "linear_probe", "knn"}
    assert backbone_score.size == (32, 32)
    assert backbone_score.accuracy == 58.178
    assert backbone_score.parameters == 722_496
    assert [set(layer.scores) for layer in backbone_score.layers] == [{"logme", "hscore", "knn"}] * 3
    assert backbone_score.layers[-1].scores["knn"] == backbone_score.scores["knn"]
    assert found.images == 27
    assert found.tried == {}


def test_backbones_without_weights_are_left_out_by_name(study_file: Path, weighted: Path) -> None:
    found = rank_backbones(
        study_file, RankOptions(names=[SMALL, "resnet18"], methods=["knn"]), storage="sqlite:///nowhere.db"
    )
    assert [backbone_score.backbone for backbone_score in found.backbone_scores] == ["torchvision:squeezenet1_1"]
    ((name, reason),) = found.left_out
    assert name == "torchvision:resnet18"
    assert "not found" in reason
    with pytest.raises(UserError, match=r"no backbone could be scored \(torchvision:resnet18: weights"):
        rank_backbones(study_file, RankOptions(names=["resnet18"]), storage="sqlite:///nowhere.db")


def test_too_large_ones_are_left_out_before_anything_is_read(study_file: Path, weighted: Path) -> None:
    options = RankOptions(names=[SMALL, "vgg11"], under=parse_limits("1M"), methods=["knn"])
    found = rank_backbones(study_file, options, storage="sqlite:///nowhere.db")
    assert found.left_out == (("torchvision:vgg11", "128.8M parameters, above 1M"),)


def test_by_default_the_studys_own_and_all_that_are_here(
    study_file: Path, weighted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank, "local_backbones", lambda: iter([backbones.resolve(SMALL)]))
    found = rank_backbones(study_file, RankOptions(methods=["knn"]), storage="sqlite:///nowhere.db")
    assert [backbone_score.backbone for backbone_score in found.backbone_scores] == ["torchvision:squeezenet1_1"]


def test_local_backbones_are_those_whose_weights_are_here(weighted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision = backbones.sources()["torchvision"]
    monkeypatch.setattr(backbones, "sources", lambda: {"torchvision": torchvision})
    monkeypatch.setattr("spaces.backbones._weights._packaged", dict)
    assert [backbone.name for backbone in rank.local_backbones()] == ["torchvision:squeezenet1_1"]


def test_few_images_are_every_classs_share(study_file: Path, weighted: Path) -> None:
    found = rank_backbones(
        study_file, RankOptions(names=[SMALL], methods=["knn"], images=9), storage="sqlite:///nowhere.db"
    )
    assert found.images == 9


def test_trials_on_the_same_data_are_found(study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_study(study_file, report=False)
    assert done.best is not None
    fingerprint, storage = done.study.dataset.fingerprint, "sqlite:///runs/ftsearch.db"
    found = trials_of(fingerprint, "accuracy", maximize=True, storage=storage)
    assert found == {"torchvision:squeezenet1_1": done.best.value}
    assert trials_of("other", "accuracy", maximize=True, storage=storage) == {}
    assert trials_of(fingerprint, "loss", maximize=False, storage=storage) == {}


def test_wrong_names_are_refused_before_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown estimator 'logmee'"):
        rank_backbones(tmp_path / "nowhere.yaml", RankOptions(methods=["logmee"]))
    with pytest.raises(BackboneError, match="unknown backbone 'resnet19'; did you mean"):
        rank_backbones(tmp_path / "nowhere.yaml", RankOptions(names=["resnet19"]))


def test_a_class_of_one_image_is_named(study_file: Path, folder: Path, weighted: Path) -> None:
    for path in sorted((folder / "blue").glob("*.png"))[2:]:
        path.unlink()
    with pytest.raises(DataError, match="class 'blue' has a single training image; ranking needs two"):
        rank_backbones(study_file, RankOptions(names=[SMALL]))
