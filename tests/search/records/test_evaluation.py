from __future__ import annotations

import json
from dataclasses import asdict

from search.records.evaluation import Box, ClassResult, Evaluation, Mistake, Picture


def test_an_evaluation_goes_to_json_and_comes_back() -> None:
    own = Evaluation(
        (ClassResult("ant", 0.5, 0.75, 0.6, 4),), ((3, 1), (0, 2)), mistakes=(Mistake(1, "ant", "bee", 0.9, "a.png"),)
    )
    assert Evaluation.from_json(json.loads(json.dumps(asdict(own)))) == own


def test_samples_are_named_by_their_place_in_the_validation_split() -> None:
    own = Evaluation((), (), mistakes=(Mistake(1, "ant", "bee", 0.9),))
    assert own.named(("a.png", "b.png")).mistakes[0].sample == "b.png"


def test_a_picture_goes_to_json_and_comes_back() -> None:
    own = Picture(
        3, "true 3.1, predicted 5.0", boxes=(Box(0.1, 0.2, 0.3, 0.4, "ant", 0.9),), shown=(0.0, 0.1, 0.9, 1.0)
    )
    assert Picture.from_json(json.loads(json.dumps(asdict(own)))) == own
