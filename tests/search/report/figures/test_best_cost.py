from __future__ import annotations

from search.records.study import StudyRecord
from search.report.figures.best_cost import figure


def test_a_winner_is_drawn_at_its_cost_beside_its_plain_recipe(study: StudyRecord) -> None:
    rows = figure.rows((study,))
    assert rows is not None
    (row,) = rows.studies
    assert study.best is not None
    assert study.best.size is not None
    assert row.costs == (study.best.size.parameters, study.best.size.flops, 50 * 24 / 60)
    assert row.plain == study.trials[0].value
    assert list(figure.draw(rows).data[0].y) == [row.value, row.plain]


def test_the_legend_has_room_above_the_points_however_many_studies_there_are(study: StudyRecord) -> None:
    one, ten, forty = (figure.draw(figure.rows((study,) * count)).layout.height for count in (1, 10, 40))
    assert ten - one == 9 * 21
    assert forty / 2 >= 40 * 21
