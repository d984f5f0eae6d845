from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.backbone_ranking import BackboneScore, Ranking, agreement, mean_ranks, ordered, trust


def backbone_score(name: str, parameters: int = 1, **scores: float) -> BackboneScore:
    return BackboneScore(name, name, "W", (64, 64), parameters, 2, 3.0, None, scores)


def ranking(*backbone_scores: BackboneScore, tried: dict[str, float] | None = None) -> Ranking:
    titles = {"one": "One", "two": "Two"}
    return Ranking("s", "d", 10, 2, "cpu", titles, backbone_scores, tried=tried or {}, metric="accuracy")


def test_orders_agree_from_reversed_to_the_same() -> None:
    scores = {"a": 1.0, "b": 2.0, "c": 3.0}
    same = agreement("One", scores, "Two", {"a": 10.0, "b": 20.0, "c": 30.0, "d": 0.0})
    assert same is not None
    assert (same.tau, same.count) == (pytest.approx(1.0), 3)
    reversed_ = agreement("One", scores, "Two", {"a": 3.0, "b": 2.0, "c": 1.0})
    assert reversed_ is not None
    assert reversed_.tau == pytest.approx(-1.0)
    assert agreement("One", scores, "Two", {"a": 1.0, "b": 2.0}) is None
    assert agreement("One", scores, "Two", dict.fromkeys("abc", 1.0)) is None


def test_mean_ranks_share_places_and_pass_over_what_does_not_score_all() -> None:
    backbone_scores = (
        backbone_score("a", one=1.0, two=5.0),
        backbone_score("b", one=1.0),
        backbone_score("c", one=0.5, two=9.0),
    )
    assert mean_ranks(backbone_scores, ["one", "two"]) == [1.5, 1.5, 3.0]
    assert mean_ranks(backbone_scores, ["two"]) == [1.0, 1.0, 1.0]


def test_of_equals_the_smaller_network_comes_first() -> None:
    found = ordered(
        (backbone_score("big", 9, one=1.0), backbone_score("small", 1, one=1.0), backbone_score("best", 99, one=2.0)),
        ["one"],
    )
    assert [each.backbone for each in found] == ["best", "small", "big"]


def test_trust_is_reported_from_agreement() -> None:
    three = [backbone_score(name, one=place, two=place) for place, name in enumerate("abc")]
    assert "agree well" in trust(ranking(*three))[0]
    against = [backbone_score(name, one=place, two=-place) for place, name in enumerate("abc")]
    assert "disagree, so trust none" in trust(ranking(*against))[0]
    assert "cannot be judged" in trust(ranking(*three[:2]))[0]


def test_trials_in_the_store_judge_the_scores() -> None:
    three = [backbone_score(name, one=place, two=-place) for place, name in enumerate("abc")]
    found = ranking(*three, tried={"a": 0.7, "b": 0.8, "c": 0.9})
    assert [(each.first, round(each.tau)) for each in found.with_trials] == [("One", 1), ("Two", -1)]
    assert "One orders them best" in trust(found)[1]
    smaller = replace(found, maximize=False)
    assert [round(each.tau) for each in smaller.with_trials] == [-1, 1]
    assert "too few to check" in trust(ranking(*three, tried={"a": 0.7}))[1]
