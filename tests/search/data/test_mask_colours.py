from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from search.data import mask_colours
from search.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\nRoad,128,64,128\nSign Symbol,192,128,128\n",
        "128 64 128\t\tRoad\n192 128 128\tSign Symbol\n",
        "# label:color_rgb:parts:actions\nRoad:128,64,128::\nSign Symbol:192,128,128::\n",
        '"Road"; 128; 64; 128\r\n\r\n"Sign Symbol"; 192; 128; 128\r\n',
    ],
)
def test_names_and_colours_are_read_however_a_tool_writes_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.txt").write_bytes(text.encode())
    palette = mask_colours.read(tmp_path / "c.txt")
    assert palette == mask_colours.Palette(("Road", "Sign Symbol"), (0x804080, 0xC08080))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no class in it"),
        ("name,r,g,b\nRoad,128,64\n", "line 2: expected a class and its colour"),
        ("Road,128,64,300\n", "line 1: expected a class and its colour"),
        ("1,2,3\n", "line 1: expected a class and its colour"),
        ("Road,1,2,3\nSign,1,2,3\n", "line 2: the class 'Sign' or its colour is listed twice"),
    ],
)
def test_a_file_that_names_no_colours_is_refused_by_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "c.txt").write_text(text)
    with pytest.raises(DataError, match=reason):
        mask_colours.read(tmp_path / "c.txt")


def test_pixels_get_the_place_of_their_colour_and_others_are_told() -> None:
    pixels = np.array([[[9, 0, 0], [0, 0, 0], [0, 0, 7]]], np.uint8)
    numbers = mask_colours.numbers_of(pixels, (0x090000, 0x000000))
    assert numbers[0, :2].tolist() == [0, 1]
    assert mask_colours.written(int(numbers[0, 2])) == "#000007"
    assert mask_colours.written(12) == "12"
