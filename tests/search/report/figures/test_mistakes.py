from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from search.data.images import FileImage
from search.records.study import Mistake, StudyRecord
from search.report.figures.mistakes import figure


def with_mistakes(study: StudyRecord, *samples: Path) -> StudyRecord:
    """Return ``study`` whose winner errs in the images ``samples``, as far as they are there."""
    found = [FileImage(path).digest().hex() if path.is_file() else "" for path in samples]
    mistakes = tuple(
        Mistake(place, "ant", "bee", 0.99 - place / 100, str(path), content)
        for place, (path, content) in enumerate(zip(samples, found, strict=True))
    )
    best = study.best
    assert best is not None
    assert best.evaluation is not None
    changed = replace(best, evaluation=replace(best.evaluation, mistakes=mistakes))
    return replace(study, trials=tuple(changed if trial is best else trial for trial in study.trials))


def test_the_winners_mistakes_are_drawn_from_their_files(study: StudyRecord, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (255, 0, 0)).save(tmp_path / "a.png")
    drawn = figure.draw(figure.rows(with_mistakes(study, tmp_path / "a.png")))
    (image,) = drawn.layout.images
    assert image.source.startswith("data:image/jpeg;base64,")
    assert "is <b>ant</b>, taken for<br>bee (99 %)" in drawn.data[0].text


def test_an_image_that_is_another_one_by_now_is_reported_in_words(study: StudyRecord, tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(tmp_path / f"{name}.png")
    told = with_mistakes(study, tmp_path / "a.png", tmp_path / "b.png")
    Image.new("RGB", (30, 20), (9, 9, 9)).save(tmp_path / "b.png")
    assert len(figure.draw(figure.rows(told)).layout.images) == 1


def test_images_that_are_gone_are_reported_in_words(study: StudyRecord, tmp_path: Path) -> None:
    drawn = figure.draw(figure.rows(with_mistakes(study, tmp_path / "gone.png")))
    text = drawn.layout.annotations[0].text.replace("<br>", " ")
    assert "cannot be reached" in text
    assert "gone.png is ant, taken for bee" in text


def test_texts_are_written_out_and_escaped(study: StudyRecord) -> None:
    best = study.best
    assert best is not None
    assert best.evaluation is not None
    text = "data/dev.tsv, line 3: <b>not</b> & <script>alert(1)</script> " + "x" * 100
    mistake = Mistake(0, "pos", "neg", 0.987, text)
    told = replace(best, evaluation=replace(best.evaluation, mistakes=(mistake,)))
    trials = tuple(told if trial.number == best.number else trial for trial in study.trials)
    rows = figure.rows(replace(study, trials=trials, dataset=replace(study.dataset, inputs="tokens")))
    assert rows is not None
    assert rows.texts
    (written,) = figure.draw(rows).layout.annotations
    assert written.text.startswith("taken for <b>neg</b> (99 %), is <b>pos</b><br>&lt;b>not&lt;/b> &amp; &lt;script>")
    assert written.text.endswith("dev.tsv, line 3")
    assert max(len(line) for line in written.text.replace("&lt;", "<").split("<br>")) <= 60
