from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import StudyRecord
from search.report.figures.studies_table import figure


def test_a_cell_is_the_best_of_its_data_and_backbone(study: StudyRecord) -> None:
    better = replace(
        study, name="better", trials=(*study.trials[:-1], replace(study.trials[1], number=99, value=0.999))
    )
    other = replace(study, name="other", backbone="test:large")
    rows = figure.rows((study, better, other))
    assert rows is not None
    ((metric, maximize, cells),) = rows.tables
    assert (metric, maximize) == ("accuracy", True)
    found = {(cell.dataset, cell.backbone): cell for cell in cells}
    assert found["pets", "test:tiny"].study == "better"
    assert found["pets", "test:large"].study == "other"
    assert found["pets", "test:tiny"].gain == pytest.approx(0.999 - (study.trials[0].value or 0))


def test_metrics_are_not_mixed(study: StudyRecord) -> None:
    rows = figure.rows((study, replace(study, name="loss", metric="loss", maximize=False)))
    assert rows is not None
    assert [(metric, maximize) for metric, maximize, _ in rows.tables] == [("accuracy", True), ("loss", False)]
