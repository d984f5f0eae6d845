from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from search.errors import UserError
from search.records.study import Evaluation, Measured, Picture, StudyRecord, TrialState
from search.report import page
from search.report.figures import figures

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Balanced(HTMLParser):
    """Counts that what is opened is closed."""

    void = frozenset(("meta", "br", "link", "img", "input", "hr"))

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def body_of(study: StudyRecord) -> str:
    return page.render((study,), NOW).split("<body>")[1]


def test_a_report_is_one_small_file_that_needs_no_network(study: StudyRecord, tmp_path: Path) -> None:
    path = page.write((study,), tmp_path / "deep" / "report.html")
    text = path.read_text()
    assert path.stat().st_size < 6_000_000
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []


def test_it_opens_with_the_gain_its_proof_and_the_winner(study: StudyRecord) -> None:
    body = body_of(study)
    assert study.best is not None
    assert body.index(study.best.words) < body.index("Ranking")
    assert body.index("points</b><span class='badge chance'>may be chance</span>") < body.index(study.best.words)
    assert "<div class='strip' role='img' aria-label='8 units: " in body


def test_text_from_the_store_is_escaped(study: StudyRecord) -> None:
    evil = "<script>alert(1)</script>"
    trials = tuple(replace(trial, words=evil) for trial in study.trials)
    dataset = replace(study.dataset, name=evil, skipped=(evil,))
    body = body_of(replace(study, trials=trials, dataset=dataset, spec_text=evil))
    assert evil not in body


def test_training_from_scratch_and_left_out_images_are_stated(study: StudyRecord) -> None:
    dataset = replace(study.dataset, skipped=("a.jpg: truncated",))
    body = body_of(replace(study, weights="none", dataset=dataset))
    assert "trains from scratch" in body
    assert "Left out because they are broken: 1 images or annotations." in body


@pytest.mark.parametrize("trials", [0, 1])
def test_studies_with_hardly_a_trial_are_reported_too(study: StudyRecord, trials: int) -> None:
    expected = "Ranking" if trials else "No trial is complete yet."
    assert expected in body_of(replace(study, trials=study.trials[:trials]))


def test_a_folder_that_cannot_be_written_is_refused_and_the_old_report_stays(
    study: StudyRecord, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(UserError, match="cannot write the report"):
        page.write((study,), tmp_path / "file" / "report.html")
    assert (tmp_path / "file").read_text() == "old"


def test_several_studies_share_a_page_and_are_compared_first(study: StudyRecord) -> None:
    text = page.render((study, replace(study, name="other")), NOW).split("<body>")[1]
    assert text.count("<h1>") == 1
    assert text.index("2 studies compared") < text.index("Best so far, study by study")
    assert text.index("study by study") < text.index("<h2>study</h2>") < text.index("<h2>other</h2>")


def unpacked(text: str, name: str) -> str:
    found = re.search(rf"id='{name}'>([^<]*)<", text)
    assert found is not None
    return gzip.decompress(base64.b64decode(found[1])).decode()


def test_every_figure_is_in_the_file_with_its_views(study: StudyRecord) -> None:
    text = page.render((study,), NOW)
    drawn = json.loads(unpacked(text, "figures"))
    assert set(drawn) == {f"0/{figure.name}" for figure in figures() if figure.rows(study) is not None}
    assert len(drawn["0/history"]["views"]) == 3
    assert not drawn["0/history"]["layout"].get("updatemenus")
    assert unpacked(text, "plotly").lstrip().startswith("/**")


def test_what_only_some_tasks_have_is_there_when_it_is(study: StudyRecord) -> None:
    found = Evaluation(measured=(Measured("ant", {"iou": 0.5}, 9),), pictures=(Picture(0, "a sample"),))
    full = replace(study, trials=tuple(replace(trial, evaluation=found) for trial in study.trials))
    drawn = json.loads(unpacked(page.render((full,), NOW), "figures"))
    assert {"0/measured", "0/pictures"} <= set(drawn)


def test_it_can_be_used_by_keyboard_and_read_aloud(study: StudyRecord) -> None:
    text = page.render((study,), NOW)
    assert "<html lang='en'>" in text
    assert "class='skip'" in text
    for figure in (figure for figure in figures() if figure.rows(study) is not None):
        assert f"aria-label='{escape(f'{figure.title}. {figure.how_to_read}', quote=True)}'" in text
    levels = [int(level) for level in re.findall(r"<h(\d)", text)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_failures_of_a_large_study_do_not_fill_the_page(study: StudyRecord) -> None:
    failed = next(trial for trial in study.trials if trial.failure)
    many = tuple(replace(failed, number=number) for number in range(500))
    assert "300 further failures" in body_of(replace(study, trials=many))


def test_a_long_ranking_is_folded_and_the_study_file_stays_near(study: StudyRecord) -> None:
    done = next(trial for trial in study.trials if trial.state is TrialState.COMPLETE and not trial.is_baseline)
    text = body_of(replace(study, trials=tuple(replace(done, number=number) for number in range(120))))
    assert "<summary>80 more</summary>" in text
    cell = "<td class='number' data-label='trial'>{}</td>"
    assert text.index(cell.format(39)) < text.index("<summary>80 more</summary>") < text.index(cell.format(100))
    assert "more</summary>" not in body_of(study)


def test_figures_with_long_labels_keep_their_width_on_a_narrow_page(study: StudyRecord) -> None:
    text = page.render((study,), NOW)
    wide = {figure.name for figure in figures() if figure.least_width}
    assert {"parallel_coordinates", "mistakes"} <= wide
    for name in wide - {"mistakes"}:  # a sentence, which is as narrow as the page, where none are recorded
        assert re.search(rf"data-figure='0/{name}' style='height:\d+px;min-width:\d+px'", text)


def test_nothing_is_headed_that_has_nothing_to_show(study: StudyRecord) -> None:
    empty = page.render((replace(study, trials=()),), NOW)
    assert json.loads(unpacked(empty, "figures")) == {}
    body = body_of(replace(study, trials=()))
    assert "No trial is complete yet." in body
    assert "<h2>Ranking</h2>" not in body
    assert "Contents" not in body
    failed = tuple(trial for trial in study.trials if trial.failure)
    assert "Most confident mistakes" not in body_of(replace(study, trials=failed))
    assert "<h2>Failures</h2>" in body_of(replace(study, trials=failed))
