from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from search.records.backbone_ranking import Ranking
from search.report import backbone_ranking as report
from search.report import theme
from search.report.figures import ranking_figures
from search.report.figures._base import RankingFigure

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def test_the_table_has_scores_costs_and_what_was_published(ranking: Ranking) -> None:
    assert report.columns(ranking)[3:5] == ("LogME", "H-score")
    assert report.columns(ranking)[-1] == "best accuracy here"
    first, second, _ = report.table(ranking)
    assert first == ("test:large", "W1", "1.0", "0.900", "-0.100", "9 M", "90 M", "9.0 ms", "70.0 %", "0.9500")
    assert second[4] == second[8] == "–"
    assert len(report.columns(replace(ranking, tried={}))) == len(first) - 1


def test_the_best_layer_is_named_beside_the_last(ranking: Ranking) -> None:
    found = report.best_layers(ranking)
    assert found[0] == ("test:large", "LogME", "stem (50 % of the depth): 1.000, the last unit 0.900")
    assert found[1][2].endswith("the last one")


def test_the_page_holds_everything_and_escapes_it(ranking: Ranking, tmp_path: Path) -> None:
    text = report.render(ranking, NOW)
    for part in ("Backbones for flowers", "How far to trust this", "no weights here &lt;sorry&gt;", "Kendall"):
        assert part in text
    path = report.write(ranking, tmp_path / "deep" / "ranking.html")
    assert path.read_text("utf-8").startswith("<!doctype html>")


def test_a_page_of_one_backbone_and_of_none_can_be_read(ranking: Ranking) -> None:
    for backbone_scores in (ranking.backbone_scores[:1], ()):
        assert "How far to trust" in report.render(
            replace(ranking, backbone_scores=backbone_scores, tried={}, left_out=()), NOW
        )


@pytest.mark.parametrize("figure", ranking_figures(), ids=lambda figure: figure.name)
def test_every_view_of_a_figure_fits_its_drawing(figure: RankingFigure, ranking: Ranking) -> None:
    rows = figure.rows(ranking)
    drawn = figure.draw(rows)
    views = theme.without_menu(figure.draw(rows))
    assert all(len(values) == len(drawn.data) for _, (data, _) in views for values in data.values())
    assert figure.title
    assert figure.how_to_read.endswith(".")
    assert type(figure).__module__ == f"search.report.figures.{figure.name}"
