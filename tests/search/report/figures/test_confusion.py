from __future__ import annotations

from dataclasses import replace

from search.records.study import ClassResult, Evaluation, StudyRecord
from search.report.figures.confusion import figure


def test_it_is_the_winners(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert study.best is not None
    assert study.best.evaluation is not None
    assert (rows.number, rows.counts, rows.left_out) == (study.best.number, study.best.evaluation.confusion, 0)


def test_of_a_thousand_classes_those_with_the_most_errors_are_drawn(study: StudyRecord) -> None:
    count = 1000
    classes = tuple(ClassResult(f"c{place}", 1.0, 1.0, 1.0, 1) for place in range(count))
    matrix = [[int(row == column) for column in range(count)] for row in range(count)]
    matrix[7][9] = 5
    evaluation = Evaluation(classes, tuple(map(tuple, matrix)))
    best = replace(study.trials[1], evaluation=evaluation, value=9.0)
    rows = figure.rows(replace(study, trials=(best,)))
    assert rows is not None
    assert {"c7", "c9"} <= set(rows.classes)
    assert len(rows.classes) + rows.left_out == count
    figure.draw(rows)


def test_without_errors_it_is_a_sentence(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    right = tuple(tuple(9 * (row == column) for column in range(3)) for row in range(3))
    drawn = figure.draw(rows._replace(counts=right))
    assert "every validation sample" in drawn.layout.annotations[0].text.replace("<br>", " ")
    assert not drawn.data


def test_errors_have_colours_and_nothing_else_has(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    drawn, right = figure.draw(rows).data
    for place, (row, counts) in enumerate(zip(drawn.z, rows.counts, strict=True)):
        assert row[place] is None
        wrong = [100 * value / sum(counts) for column, value in enumerate(counts) if value and column != place]
        assert [value for value in row if value is not None] == wrong
    assert drawn.zmax == max(value for row in drawn.z for value in row if value is not None)
    assert drawn.text[0] == ["", *(str(value) if value else "" for value in rows.counts[0][1:])]
    assert right.text == tuple(str(row[place]) for place, row in enumerate(rows.counts))


def test_many_classes_are_wider_than_a_telephone(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert figure.narrowest(figure.draw(rows)) == 0
    many = rows._replace(classes=tuple(map(str, range(20))), counts=((0, 1, *[0] * 18), *[(0,) * 20] * 19))
    assert figure.narrowest(figure.draw(many)) > 390
