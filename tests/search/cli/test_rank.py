from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spaces import backbones


@pytest.fixture
def weights(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of SqueezeNet in torch hub's cache."""
    hub = here / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub.parent))
    backbone = backbones.resolve("squeezenet1_1")
    torch.save(backbone.build((64, 64)).state_dict(), hub / backbone.weights[0].file_name)
    monkeypatch.setattr("spaces.backbones._weights.verified", lambda path: path)
    monkeypatch.setattr("spaces.backbones._base.files.verified", lambda path: path)
    return hub


def test_a_ranking_is_printed_and_written_as_a_page(weights: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("rank", "study.yaml", "--backbones", "squeezenet1_1", "--layers", 2)
    assert done.code == 0, done.err
    for part in (
        "LogME",
        "k-NN",
        "torchvision:squeezenet1_1",
        "nothing trained",
        "Use scores to decide where",
    ):
        assert part in done.out
    assert re.search(r"best\s+accuracy here", done.out)
    assert Path("runs/colours/ranking.html").is_file()


def test_it_prints_as_json(weights: Path, ftsearch: Callable[..., Any]) -> None:
    found = ftsearch("rank", "study.yaml", "--backbones", "squeezenet1_1", "--estimators", "knn,logme", "--json").data
    assert set(found["backbone_scores"][0]["scores"]) == {"knn", "logme"}
    assert found["tried"].keys() == {"torchvision:squeezenet1_1"}


def test_wrong_input_is_one_line_and_exit_2(here: Path, ftsearch: Callable[..., Any]) -> None:
    wrong = (
        (("rank", "study.yaml", "--estimators", "magic"), "unknown estimator 'magic'; expected one of"),
        (("rank", "study.yaml", "--backbones", "resnet19"), "unknown backbone 'resnet19'; did you mean"),
        (("rank", "study.yaml", "--under", "small"), "--under: expected parameters, FLOPs or both"),
        (("rank", "nowhere.yaml", "--backbones", "resnet18"), "cannot read the study file nowhere.yaml"),
    )
    for arguments, message in wrong:
        done = ftsearch(*arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert message in done.err
