from __future__ import annotations

import pytest

from search.records.study import StudyRecord, UnitRecord
from search.report import structures


@pytest.mark.parametrize(
    ("text", "state", "short", "words"),
    [
        ("frozen", "frozen", "", "features.3: frozen"),
        ("trained: 5x5 kernel", "trained", "5x5", "features.3: trained, 5x5 kernel"),
        ("trained: 5x5 kernel, stride 1", "trained", "5x5 s1", "features.3: trained, 5x5 kernel, stride 1"),
        ("adapted: LoRA of rank 8", "adapted", "r8", "features.3: adapted, LoRA of rank 8"),
        ("trained: 3x3 block of 64", "trained", "+3x3", "features.3: trained, 3x3 block of 64"),
        ("trained: something of a plug-in", "trained", "som…", "features.3: trained, something of a plug-in"),
        ("skipped", "skipped", "skip", "features.3: skipped"),
        ("edited", "edited", "", "features.3: edited"),  # as earlier versions recorded it
    ],
)
def test_a_cell_says_state_and_edit(text: str, state: str, short: str, words: str) -> None:
    cell = structures.cell("features.3", text)
    assert (cell.state, cell.short, cell.words) == (state, short, words)


def test_a_structure_is_counted_in_words(study: StudyRecord) -> None:
    cells = [
        structures.cell("a", "frozen"),
        structures.cell("b", "trained: 5x5 kernel"),
        structures.cell("c", "trained"),
    ]
    assert structures.words(cells) == "3 units: 1 frozen, 2 trained, 1 of them edited"
    assert structures.words(structures.cells(study, study.trials[0])) == "8 units: 8 trained"


def test_cells_are_as_wide_as_their_units_are_large_and_never_invisible() -> None:
    units = [UnitRecord("stem", 100, 1, 2), UnitRecord("pool", 0, 0, 4), UnitRecord("body", 900, 1, 4)]
    assert structures.edges(units) == [0, 1, 2, pytest.approx(3)]
    stem, pool, body, end = structures.edges(units, [unit.parameters for unit in units])
    assert (stem, end) == (0, pytest.approx(3))
    assert 0 < body - pool < pool - stem < end - body
    assert structures.edges(units, [0, 0, 0]) == structures.edges(units)


def test_stages_begin_where_maps_become_smaller() -> None:
    units = [UnitRecord(str(place), 1, 1, reduction) for place, reduction in enumerate((2, 2, 4, 8, 8))]
    assert structures.stages(units) == [(0, "1/2"), (2, "1/4"), (3, "1/8")]
    assert structures.stages(units[:2]) == []
