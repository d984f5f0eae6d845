from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from by_path import module_at
from PIL import Image, ImageDraw

pictures = module_at("benchmarks/pictures.py")


def test_a_recording_is_an_svg_with_every_line_in_its_order_and_colour() -> None:
    lines = pictures.recorded([("best", "flowers")], ["\x1b[1mResult:\x1b[0m <b> & \x1b[32mgreen\x1b[0m\nWinner\n"])
    assert [line.text.plain for line in lines] == ["$ ftsearch best flowers", "Result: <b> & green", "Winner"]
    assert [line.second for line in lines] == sorted(line.second for line in lines)
    text = pictures.drawn(lines)
    root = ElementTree.fromstring(text)
    rows = root.findall("{http://www.w3.org/2000/svg}text")
    assert "".join(rows[1].itertext()) == "Result: <b> & green"
    assert "fill:#3fc79a" in text
    assert "font-weight:bold" in text
    assert "Winner" in root.findtext("{http://www.w3.org/2000/svg}desc", "")


def test_commands_are_run_on_a_terminal_of_100_columns() -> None:
    text = pictures.printed(["--help"])
    assert "\x1b[" in text
    assert max(len(line) for line in pictures.Text.from_ansi(text).plain.split("\n")) in range(90, 101)
    with pytest.raises(SystemExit, match="walk failed"):
        pictures.printed(["walk"])


def test_only_a_picture_that_differs_is_written_again(tmp_path: Path) -> None:
    one = Image.new("RGB", (200, 100), "white")
    for name in ("a.png", "a.jpg"):
        pictures.save(one, tmp_path / name)
        assert pictures.is_alike(one, tmp_path / name)
        other = one.copy()
        ImageDraw.Draw(other).rectangle((0, 0, 60, 60), fill="black")
        assert not pictures.is_alike(other, tmp_path / name)
        assert not pictures.is_alike(one.resize((100, 50)), tmp_path / name)
        assert not pictures.is_alike(one, tmp_path / f"absent-{name}")
