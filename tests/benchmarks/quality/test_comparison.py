"""The figures that are printed, against scipy's own and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from quality import comparison, tables
from quality.runs import Question, Run
from scipy import stats


def run(contender: str, data: str, hits: int, seed: int = 0, budget_s: float = 60, cpu_s: float = 50) -> Run:
    question = Question(data, contender, budget_s, seed, "mobilenet_v2", 128, 1)
    return Run(question, hits, 200, cpu_s, 2 * cpu_s, 0.5, "abc")


def test_an_interval_is_students() -> None:
    values = [0.81, 0.84, 0.9]
    found = comparison.mean_of(values)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.value - found.half, found.value + found.half) == pytest.approx((low, high))


def test_one_value_has_no_interval_over_seeds() -> None:
    assert comparison.mean_of([0.8]).half is None


def test_the_interval_is_wilsons() -> None:
    found, z, share, count = comparison.of_images(180, 200), stats.norm.ppf(0.975), 0.9, 200
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    assert (found.value, found.half) == pytest.approx((share, half))


def test_the_mean_over_sets_has_the_interval_of_its_seeds() -> None:
    by_set = {"a": [0.8, 0.9, 0.7], "b": [0.6, 0.8, 0.8]}
    found, seeds = comparison.overall(by_set), [0.7, 0.85, 0.75]
    low, high = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    assert (found.value - found.half, found.value + found.half) == pytest.approx((low, high))


def test_equals_share_their_rank() -> None:
    table = {"x": {"a": [0.9], "b": [0.5]}, "y": {"a": [0.8], "b": [0.5]}, "z": {"a": [0.7], "b": [0.6]}}
    assert comparison.mean_ranks(table) == {"x": (1 + 2.5) / 2, "y": (2 + 2.5) / 2, "z": (3 + 1) / 2}


def test_pairs_are_sets_and_half_a_point_is_a_draw() -> None:
    ours = {"a": [0.9, 0.8], "b": [0.505], "c": [0.6], "d": [0.7]}
    peer = {"a": [0.8, 0.8], "b": [0.5], "c": [0.62], "d": [0.694]}
    found = comparison.paired({"ours": ours, "peer": peer}, "ours", "peer")
    expected = stats.ttest_rel([0.85, 0.505, 0.6, 0.7], [0.8, 0.5, 0.62, 0.694])
    assert (found.wins, found.draws, found.losses) == (2, 1, 1)
    assert found.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval(0.95)
    difference = found.difference
    assert (difference.value - difference.half, difference.value + difference.half) == pytest.approx((low, high))


def test_the_best_peer_is_the_best_mean_and_ours_is_not_a_peer() -> None:
    table = {"ours": {"a": [1.0]}, "x": {"a": [0.7]}, "y": {"a": [0.8]}}
    assert comparison.best_peer(table, "ours") == "y"
    assert comparison.best_peer({"ours": {"a": [1.0]}}, "ours") is None


def test_near_is_within_half_a_point_of_the_best_of_all() -> None:
    table = {"ours": {"a": [0.795], "b": [0.7]}, "x": {"a": [0.8], "b": [0.7051]}}
    assert comparison.best_or_near(table, "ours") == ["a"]


def test_only_what_every_contender_was_run_on_is_compared() -> None:
    runs = [run("x", "a", 100), run("x", "b", 120), run("y", "a", 150), run("y", "a", 160, seed=1)]
    assert comparison.grid(runs, 60) == {"x": {"a": [0.5]}, "y": {"a": [0.75]}}
    assert comparison.grid(runs, 30) == {}


def test_sooner_counts_the_smallest_budget_that_reaches_the_best_peer() -> None:
    tables_ = {
        60.0: {"ours": {"a": [0.8], "b": [0.5], "c": [0.1]}, "x": {"a": [0.5], "b": [0.5], "c": [0.5]}},
        240.0: {"ours": {"a": [0.9], "b": [0.7], "c": [0.2]}, "x": {"a": [0.8], "b": [0.6], "c": [0.9]}},
    }
    assert comparison.times_sooner(tables_, "ours", 240.0) == {"a": 4.0, "b": 1.0, "c": 0.0}


def test_the_report_says_accuracies_overruns_failures_and_the_comparison() -> None:
    failed = Run(Question("b", "y", 60, 0, "mobilenet_v2", 128, 1), 0, 0, 75.0, 90.0, 1.0, "abc", failure="exit 1: no")
    runs = [run("ftsearch", "a", 190), run("ftsearch", "b", 100), run("y", "a", 170, cpu_s=61.5), failed]
    text = "\n".join(tables.report(runs, "ftsearch"))
    assert "95.0 ±" in text
    assert "2 of 2, at most 15.0 s" in text
    assert "no model: b, seed 0: exit 1: no" in text
    assert "against the best single peer, y: +30.0" in text
    assert "best of all or within half a point of it on 2 of 2 sets" in text
