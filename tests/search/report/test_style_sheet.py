from __future__ import annotations

import re

import pytest

from search.report import style_sheet


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["ink", "soft", "accent", "good", "warn"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme: int, name: str) -> None:
    """4.5 to 1 (https://www.w3.org/TR/WCAG22/#contrast-minimum), on the page and on its cards."""
    found = [match[1] for match in re.finditer(rf"--{name}:(#[0-9a-f]{{6}})", style_sheet.CSS)]
    for ground in ("back", "card"):
        grounds = [match[1] for match in re.finditer(rf"--{ground}:(#[0-9a-f]{{6}})", style_sheet.CSS)]
        light, dark = sorted((luminance(found[scheme]), luminance(grounds[scheme])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_it_needs_nothing_from_elsewhere() -> None:
    assert "url(" not in style_sheet.CSS
    assert "@import" not in style_sheet.CSS


def test_it_has_no_control_characters() -> None:
    """Escapes of CSS are not those of Python."""
    assert [character for character in style_sheet.CSS if not character.isprintable() and character != "\n"] == []
