from __future__ import annotations

from dataclasses import replace

from search.records.study import Size, StudyRecord, UnitRecord
from search.report import theme
from search.report.figures.structure_strips import figure


def test_rows_are_sorted_by_metric_and_cells_are_units(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert list(rows.values) == sorted(rows.values, reverse=True)
    assert all(len(states) == len(rows.units) == 8 for states in rows.states)
    assert rows.baseline == 0
    drawing = figure.draw(rows)
    assert [button.label for button in drawing.layout.updatemenus[0].buttons] == [
        *("width: equal", "width: parameters", "width: FLOPs"),
    ]
    assert len(drawing.data[0].x) == len(rows.units) + 1
    scale = figure.draw(rows).data[0].colorscale
    assert [step[0] for step in scale] == sorted(step[0] for step in scale)
    assert {step[1] for step in scale} == set(theme.UNITS.values())


def test_a_cell_has_the_edit_as_its_text_and_stages_are_marked(study: StudyRecord) -> None:
    units = tuple(UnitRecord(f"layer{place}", 1000 * place, 10**6, 2 + 2 * (place > 3)) for place in range(8))
    size = Size(1, 1, 1, ("frozen",) * 3 + ("trained: 5x5 kernel",) + ("trained",) * 4)
    changed = replace(study, units=units, trials=(replace(study.trials[0], size=size),))
    drawing = figure.draw(figure.rows(changed))
    assert drawing.data[0].text[0][3] == "5x5"
    assert drawing.data[0].hovertext[0][3] == "layer3: trained, 5x5 kernel"
    assert [note.text for note in drawing.layout.annotations] == ["1/2", "1/4"]
    assert [line.x0 for line in drawing.layout.shapes] == [0, 4]
    wide = theme.without_menu(drawing, 1)
    assert len(wide) == 3
    assert drawing.layout.shapes[1].x0 < 4  # the stem has few parameters
