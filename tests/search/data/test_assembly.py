from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import assembly
from search.data.formats.csv import Options as CsvOptions
from search.data.formats.csv import format as table_of_classes
from search.data.formats.image_folder import Options
from search.data.formats.image_folder import format as image_folder
from search.data.sample import Dataset
from search.errors import DataError


def read(path: Path, **options: object) -> Dataset:
    return image_folder.read(Options(str(path), **options), Path("/"))  # type: ignore[arg-type]


def test_the_fingerprint_follows_the_content_and_not_the_place(folder: Path, tmp_path: Path) -> None:
    first = read(folder)
    shutil.copytree(folder, tmp_path / "moved")
    assert read(tmp_path / "moved").fingerprint == first.fingerprint
    (tmp_path / "moved" / "red" / "00.png").rename(tmp_path / "moved" / "blue" / "99.png")
    assert read(tmp_path / "moved").fingerprint != first.fingerprint
    assert read(folder, seed=1).fingerprint != first.fingerprint


def test_images_that_decoded_once_are_not_decoded_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(folder)
    monkeypatch.setattr(assembly, "why_broken", lambda _: pytest.fail("decoded again"))
    read(folder)


def test_a_broken_image_is_refused_by_name_or_skipped_and_listed(folder: Path) -> None:
    broken = folder / "red" / "03.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=r"cannot read the image .*03\.png.*on_error: skip"):
        read(folder)
    skipped = read(folder, on_error="skip")
    assert len(skipped.samples) == 35
    assert len(skipped.skipped) == 1
    assert "03.png" in skipped.skipped[0]


def test_the_cache_that_cannot_be_written_is_done_without(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSEARCH_CACHE", "/proc/nowhere")
    assert len(read(folder).samples) == 36


def test_images_of_12_bits_share_one_scale_and_keep_it_from_the_cache(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for kind, bright in (("dark", 500), ("light", 4095)):
        (tmp_path / kind).mkdir()
        for number in range(6):
            pixels = random.integers(0, bright + 1, (8, 8), dtype=np.uint16)
            pixels[0, 0] = bright
            Image.fromarray(pixels).save(tmp_path / kind / f"{number}.png")
    for _ in range(2):  # the second time the scale comes from the cache
        found = read(tmp_path)
        brightest = {found.classes[one.target]: np.asarray(one.input.open()).max() for one in found.samples}
        assert brightest == {"dark": round(500 / 4095 * 255), "light": 255}
    (tmp_path / "dark" / "broken.png").write_bytes(b"none")
    assert {one.input.levels for one in read(tmp_path, on_error="skip").samples} == {(0.0, 4095.0)}  # type: ignore[attr-defined]


def test_images_of_8_bits_have_no_levels(folder: Path) -> None:
    assert {one.input.levels for one in read(folder).samples} == {None}  # type: ignore[attr-defined]


def test_a_text_that_is_taken_for_a_name_is_refused_and_not_printed_whole(tmp_path: Path) -> None:
    rows = [f"{place}.png,{'ab'[place % 2] * (1 if place else 10**6)}\n" for place in range(8)]
    (tmp_path / "a.csv").write_text(f"path,label\n{''.join(rows)}")
    for place in range(8):
        Image.new("RGB", (8, 8), (30 * place,) * 3).save(tmp_path / f"{place}.png")
    with pytest.raises(
        DataError, match=r"taken for a name and has 1000000 characters; at most 1000 .*a text\?"
    ) as caught:
        table_of_classes.read(CsvOptions("a.csv"), tmp_path)
    assert len(str(caught.value)) < 400
