from __future__ import annotations

import base64
import io
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.images import FileImage
from search.records.study import Box, Evaluation, Picture, StudyRecord
from search.report.figures._gallery import class_colour, matched
from search.report.figures.pictures import figure

TRUE = (Box(0.1, 0.1, 0.5, 0.5, "ant"), Box(0.6, 0.6, 0.9, 0.9, "bee"))
TOLD = (Box(0.12, 0.1, 0.5, 0.5, "ant", 0.9), Box(0.6, 0.1, 0.9, 0.3, "bee", 0.8))


def with_pictures(study: StudyRecord, *pictures: Picture) -> StudyRecord:
    best = study.best
    assert best is not None
    changed = replace(best, evaluation=Evaluation(pictures=pictures))
    trials = tuple(changed if trial is best else trial for trial in study.trials)
    return replace(study, trials=trials)


def image_file(folder: Path) -> dict[str, str]:
    """Write an image; return what a picture says of it."""
    path = folder / "a.png"
    Image.new("RGB", (400, 300), (90, 90, 90)).save(path)
    return {"sample": str(path), "content": FileImage(path).digest().hex()}


def mask(values: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_true_and_predicted_boxes_are_drawn_side_by_side(study: StudyRecord, tmp_path: Path) -> None:
    picture = Picture(0, "1 missed", (*TRUE, *TOLD), **image_file(tmp_path))
    drawn = figure.draw(figure.rows(with_pictures(study, picture)))
    left, right = drawn.layout.images
    assert (left.x, left.sizex, left.sizey) == (0, 1, 0.75)
    words = {trace.name or trace.text: trace for trace in drawn.data if trace.text}
    hover = [text for trace in drawn.data if trace.mode == "markers" and trace.text for text in trace.text]
    assert sorted(hover) == ["ant 90 %, right", "ant, found", "bee 80 %, wrong", "bee, missed"]
    assert next(text for text in words if "<b>true</b>" in text)[:2] == ("<b>true</b>", "<b>predicted</b>")
    (ant,) = [trace for trace in drawn.data if trace.mode == "markers" and trace.text and "ant, found" in trace.text]
    assert ant.x[0] == 0.3
    assert ant.y[0] == -0.3 * 0.75
    assert ant.x[1] > right.x
    dotted = [trace for trace in drawn.data if trace.mode == "lines" and trace.line.dash == "dot"]
    assert {trace.line.color for trace in dotted} == {"rgba(0,0,0,0.6)", class_colour(1)}


def test_boxes_are_matched_as_coco_does_the_surest_first() -> None:
    twice = (*TOLD, replace(TOLD[0], score=0.95), Box(0.1, 0.1, 0.5, 0.5, "bee", 0.99))
    assert matched(TRUE, twice) == [(0, 2)]
    assert matched((), TOLD) == matched(TRUE, ()) == []


def test_masks_are_painted_over_the_part_they_belong_to(study: StudyRecord, tmp_path: Path) -> None:
    true = np.full((10, 10), 255)
    true[:5] = 1
    shown = (0.25, 0.0, 0.75, 1.0)
    picture = Picture(0, "", (), mask(true), mask(np.zeros((10, 10))), shown, **image_file(tmp_path))
    drawn = figure.draw(figure.rows(with_pictures(study, picture)))
    left, right = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(image.source.split(",")[1]))), dtype=int)
        for image in drawn.layout.images
    )
    height, width = left.shape[:2]
    plain = left[height - 20, width // 2]
    assert np.abs(plain - 90).max() < 6  # ignored pixels keep the photograph
    assert np.abs(left[20, 20] - 90).max() < 6  # outside of the part that was shown
    expected = np.array([int(class_colour(1)[n : n + 2], 16) for n in (1, 3, 5)]) * 0.55 + 90 * 0.45
    assert np.abs(left[20, width // 2] - expected).max() < 12
    assert np.abs(right[height - 20, width // 2] - 90).max() > 20
    assert [trace.name for trace in drawn.data if trace.name] == ["ant", "bee"]


def test_boxes_are_drawn_without_their_image_too(study: StudyRecord, tmp_path: Path) -> None:
    drawn = figure.draw(figure.rows(with_pictures(study, Picture(0, "", TRUE, sample=str(tmp_path / "gone.png")))))
    assert not drawn.layout.images
    assert len(drawn.layout.shapes) == 2
    assert "gone.png: the image cannot be reached" in " ".join(drawn.data[-1].text).replace("<br>", " ")


def test_samples_without_boxes_are_images_in_twos_and_texts_in_words(study: StudyRecord, tmp_path: Path) -> None:
    found = image_file(tmp_path)
    pictures = [Picture(n, f"true {n}, predicted 9", **found) for n in range(3)]
    drawn = figure.draw(figure.rows(with_pictures(study, *pictures, Picture(3, "a <b>text</b>", sample="t.csv"))))
    assert [image.x for image in drawn.layout.images] == [0, 1.04, 0]
    assert drawn.layout.images[0].y == drawn.layout.images[1].y > drawn.layout.images[2].y
    assert "a &lt;b>text&lt;/b>" in drawn.data[-1].text


def test_a_picture_whose_content_the_store_does_not_know_is_reported_in_words(
    study: StudyRecord, tmp_path: Path
) -> None:
    found = image_file(tmp_path)
    for content in ("", "0" * 64):
        told = with_pictures(study, Picture(0, "x", sample=found["sample"], content=content))
        assert not figure.draw(figure.rows(told)).layout.images


@pytest.mark.parametrize("size", [(3000, 3000), (60_000, 60_000)])
def test_a_stored_mask_of_absurd_size_is_left_out(study: StudyRecord, tmp_path: Path, size: tuple[int, int]) -> None:
    head = zlib.compress(b"")  # nothing of it is decoded
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", head), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    picture = Picture(0, "x", (), base64.b64encode(content).decode(), **image_file(tmp_path))
    assert len(figure.draw(figure.rows(with_pictures(study, picture))).layout.images) == 2


def test_a_store_of_strange_masks_is_drawn(study: StudyRecord, tmp_path: Path) -> None:
    drawn = figure.draw(figure.rows(with_pictures(study, Picture(0, "x", (), "no", "bm8=", **image_file(tmp_path)))))
    assert len(drawn.layout.images) == 2


def test_hundreds_of_classes_have_colours() -> None:
    found = [class_colour(place) for place in range(24)]
    assert len(set(found)) == 24
    assert class_colour(1000).startswith("#")
