from __future__ import annotations

from dataclasses import replace

from search.records.backbone_ranking import Ranking
from search.report.figures.ranking_cost import figure


def test_the_front_is_what_no_other_backbone_beats_in_both(ranking: Ranking) -> None:
    rows = figure.rows(ranking)
    assert rows is not None
    assert [(plane.score, plane.cost) for plane in rows[:3]] == [
        ("LogME", "FLOPs"),
        ("LogME", "parameters"),
        ("LogME", "latency in ms"),
    ]
    plane = rows[0]
    assert [plane.names[place] for place in plane.front] == ["small", "large"]
    assert len(rows) == 6


def test_a_backbone_without_classes_is_left_out_of_what_reads_them(ranking: Ranking) -> None:
    rows = figure.rows(ranking)
    assert rows is not None
    assert {len(plane.names) for plane in rows if plane.score == "H-score"} == {2}


def test_without_backbones_it_says_so(ranking: Ranking) -> None:
    assert figure.rows(replace(ranking, backbone_scores=())) is None
    assert len(figure.draw(None).layout.annotations) == 1
