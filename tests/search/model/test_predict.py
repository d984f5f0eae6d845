from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from search.data.texts import Text
from search.errors import UserError
from search.model import folder as model_folder
from search.model.inputs import Ready
from search.model.predict import Model, PredictedItem, items_in, load_model, outputs_of, predict, task_of
from search.tasks._prediction import InputInfo

EARLIER = Path(__file__).with_name("folders") / "2026-11-25"


class Halves(nn.Module):
    """Says 0 to images whose first number is below 0.5, else 1."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        first = inputs.flatten(1)[:, 0]
        return torch.stack([0.5 - first, first - 0.5], dim=1) * 20


class Numbers:
    """Inputs that are numbers already; `broken` cannot be read."""

    kind = "images"

    def listed(self, place: Path, text_column: str = "", pair_column: str = "") -> list[Any]:
        return [place]

    def given(self, original: Any) -> InputInfo:
        return InputInfo()

    def read(self, items: Any) -> list[Any]:
        return [
            "no number" if item == Path("broken") else Ready(torch.tensor([float(str(item))]), InputInfo())
            for item in items
        ]

    def batch(self, inputs: Any) -> torch.Tensor:
        return torch.stack(list(inputs))


class Facts:
    task, classes, temperature = "classification", ("low", "high"), 1.0


def model(**changes: Any) -> Model:
    made: dict[str, Any] = {"network": Halves(), "transform": None, "facts": Facts(), "format": "pt2"}
    return Model(**{**made, "task": task_of("classification", {}, {}), "inputs": Numbers(), **changes})


def test_an_output_that_is_not_a_number_is_not_an_answer() -> None:
    found = list(predict(model(), [Path("0.2"), Path("nan"), Path("broken"), Path("0.9")], 1))
    told = "the model's outputs for it are not finite numbers"
    assert [one.broken for one in found] == ["", told, "no number", ""]
    assert [[answer.label for answer in one.answers] for one in found] == [["low"], [], [], ["high"]]


def test_a_network_that_gives_no_numbers_at_all_is_blamed_itself() -> None:
    lost = nn.Linear(1, 2)
    nn.init.constant_(lost.weight, torch.nan)
    with pytest.raises(UserError, match=r"no finite numbers, whatever it is shown: its weights hold NaN"):
        list(predict(model(network=lost), [Path("0.2"), Path("broken"), Path("0.9")]))
    (found,) = predict(model(), [Path("nan")])  # the only image may well be at fault
    assert found.broken


def test_broken_inputs_are_marked_as_such_and_the_others_keep_their_order() -> None:
    items = [Path(str(number / 100 + 0.001)) for number in range(80)]
    items[40] = Path("broken")
    found = list(predict(model(), items, 1))
    assert [one.broken for one in found] == [*[""] * 40, "no number", *[""] * 39]
    assert [one.answers[0].label for one in found if not one.broken] == ["low"] * 49 + ["high"] * 30


def test_answers_below_the_threshold_are_left_out() -> None:
    (sure,) = predict(model(), [Path("0.9")], threshold=0.6)
    assert [answer.label for answer in sure.answers] == ["high"]
    (unsure,) = predict(model(), [Path("0.5")], threshold=0.6)
    assert unsure.answers == ()


def test_a_model_whose_task_prepares_its_inputs_alone_is_refused() -> None:
    odd = model(inputs=None)
    for call in (
        lambda: list(predict(odd, [])),
        lambda: items_in(odd, Path()),
        lambda: odd.predicted(torch.zeros(1, 2), [1]),
    ):
        with pytest.raises(UserError, match="task is classification, which takes neither plain images nor texts"):
            call()


def test_a_prediction_is_named_by_its_place() -> None:
    assert PredictedItem(Path("a.png")).name == "a.png"
    assert PredictedItem(Text("t.txt, line 3", "words")).name == "t.txt, line 3"


def test_outputs_are_computed_without_gradients() -> None:
    assert not outputs_of(nn.Linear(2, 2), torch.ones(1, 2)).requires_grad


def test_options_of_another_version_are_refused() -> None:
    with pytest.raises(UserError, match="the task 'smell' is not installed"):
        task_of("smell", {}, {})
    with pytest.raises(UserError, match="options of the task detection: overlap"):
        task_of("detection", {"overlap": "much"}, {"input_size": [64, 64]})
    with pytest.raises(
        UserError, match=r"the task detection cannot be restored: .*'input_size'.*; export the model again"
    ):
        task_of("detection", {}, {})


def test_a_folder_that_an_earlier_version_exported_predicts_the_same() -> None:
    """Cut, widened, with a layer norm: the files and the scores were written by the code of that day."""
    opened = load_model(EARLIER / "model")
    for row in json.loads((EARLIER / "predictions.json").read_text("utf-8")):
        (predicted,) = predict(opened, [EARLIER / row["file"]])
        assert [answer.label for answer in predicted.answers] == [answer["label"] for answer in row["answers"]]
        scores = [answer.score for answer in predicted.answers]
        assert scores == pytest.approx([answer["score"] for answer in row["answers"]], abs=1e-5)


def test_a_format_that_is_no_longer_opened_is_named_with_those_that_are(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(EARLIER / "model", folder)
    facts = json.loads((folder / "model.json").read_text("utf-8"))
    facts["files"]["torchscript"] = "model.torchscript"
    (folder / "model.json").write_text(json.dumps(facts))
    (folder / "model.torchscript").write_bytes(b"")
    model_folder.seal(folder)
    with pytest.raises(UserError, match=r"this version no longer opens 'torchscript'; it has safetensors$"):
        load_model(folder, format="torchscript")
