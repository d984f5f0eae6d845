from __future__ import annotations

from dataclasses import replace

from search.records.backbone_ranking import Ranking
from search.report.figures.ranking_depth import figure


def test_lines_run_from_the_first_layer_to_the_last_and_mark_the_best(ranking: Ranking) -> None:
    rows = figure.rows(ranking)
    assert rows is not None
    (group,) = rows
    assert group.score == "LogME"
    assert [line.label for line in group.lines] == ["large", "middle", "small"]
    assert group.lines[0].depths == (0.5, 1.0)
    drawn = figure.draw(rows)
    assert drawn.data[0].marker.size == (12, 6)


def test_without_layers_it_says_so(ranking: Ranking) -> None:
    bare = replace(
        ranking,
        backbone_scores=tuple(replace(backbone_score, layers=()) for backbone_score in ranking.backbone_scores),
    )
    assert figure.rows(bare) is None
    assert len(figure.draw(None).layout.annotations) == 1
