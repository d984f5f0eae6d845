from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from search.records.evaluation import Box, ClassResult, Evaluation, Mistake, Picture


def test_an_evaluation_goes_to_json_and_comes_back() -> None:
    own = Evaluation(
        (ClassResult("ant", 0.5, 0.75, 0.6, 4),),
        ((3, 1), (0, 2)),
        (Mistake(1, "ant", "bee", 0.9, "a.png", "0f"),),
    )
    assert Evaluation.from_json(json.loads(json.dumps(asdict(own)))) == own


@pytest.mark.parametrize("resampled", ["[1]", "[1, NaN]", "[1, Infinity]", "[1e300, -1e300]"])
def test_values_on_bootstrap_samples_that_have_no_variance_are_refused(resampled: str) -> None:
    with pytest.raises(ValueError, match="have no variance"):
        Evaluation.from_json(json.loads(f'{{"classes": [], "confusion": [], "resampled": {resampled}}}'))


@dataclass
class Input:
    name: str
    content: bytes | None

    def digest(self) -> bytes:
        if self.content is None:
            raise FileNotFoundError
        return self.content


def test_samples_are_named_by_their_place_in_the_validation_split() -> None:
    own = Evaluation(
        mistakes=(Mistake(1, "ant", "bee", 0.9), Mistake(2, "ant", "bee", 0.8)), pictures=(Picture(1, ""),)
    )
    found = own.named((Input("a.png", b"a"), Input("b.png", b"b"), Input("gone.png", None)))
    assert [(one.sample, one.content) for one in found.mistakes] == [("b.png", "62"), ("gone.png", "")]
    assert (found.pictures[0].sample, found.pictures[0].content) == ("b.png", "62")


def test_a_picture_goes_to_json_and_comes_back() -> None:
    own = Picture(
        3, "true 3.1, predicted 5.0", boxes=(Box(0.1, 0.2, 0.3, 0.4, "ant", 0.9),), shown=(0.0, 0.1, 0.9, 1.0)
    )
    assert Picture.from_json(json.loads(json.dumps(asdict(own)))) == own


BOX = {"left": 0, "top": 0, "right": 1, "bottom": 1, "label": "a"}


@pytest.mark.parametrize(
    "change",
    [
        {"place": "x"},
        {"shown": [1]},
        {"shown": [0, 0, 1, "x"]},
        {"boxes": [{**BOX, "left": "x"}]},
        {"boxes": [{**BOX, "score": []}]},
    ],
)
def test_a_picture_whose_numbers_are_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Picture.from_json({"place": 0, "caption": "x", "boxes": [BOX], "shown": [0, 0, 1, 1], **change})


def test_texts_of_a_picture_are_texts() -> None:
    picture = Picture.from_json({"place": 0, "caption": 3, "boxes": [{**BOX, "label": 5}], "shown": [0, 0, 1, 1]})
    assert (picture.caption, picture.boxes[0].label) == ("3", "5")
