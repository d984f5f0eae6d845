"""The pictures of docs/, made from a finished study, so that they show what readers will see.

    python tests/benchmarks/pictures.py STUDY [--storage URL] [--to docs/pictures]

Needs Chromium. Four parts of the study's report (its top, the structures, the mistakes, quality against cost) become
images, and commands about it, run on a real terminal of 100 columns, an animated SVG. Pictures that are hardly
different are not written again: a repository keeps every version.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageChops
from rich.color import Color
from rich.console import Console
from rich.text import Text

from search.report import page as report
from search.report.gather import gather
from search.store import readonly

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
COLUMNS, ROWS = 100, 40
COMMANDS = (("status", "{study}"), ("trials", "{study}"))
PARTS = {
    "report.png": "header, .headline, .tiles",
    "structures.png": "section[id$=structure_strips]",
    "mistakes.jpg": "section[id$=mistakes]",
    "front.png": "section[id$=pareto]",
}
"""File -> what it shows of a report; of several elements, all that lies between the first and the last."""
_WIDTH, _SCALE, _COLOURS = 1000, 1.5, 96
_CHARACTER, _LINE, _EDGE = 8.43, 19, 16
_TYPING_S, _PAUSE_S, _ROW_S = 0.06, 1.2, 0.05
_INK, _BACK, _PROMPT = "#e6edf3", "#0d1117", "#3fc79a"


class Shown(NamedTuple):
    """A line of the recording, and the second in which it appears."""

    text: Text
    second: float


def photographed(url: str, study: str) -> Iterator[tuple[str, Image.Image]]:
    """Yield the parts of the report on ``study`` by the names of their files."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        path = report.write((gather(readonly.connect(url), study),), Path(folder) / "report.html")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": _WIDTH, "height": 900}, device_scale_factor=_SCALE)
        page.set_default_timeout(300_000)
        page.goto(path.as_uri())
        page.wait_for_function("() => document.documentElement.dataset.drawn === 'all'")
        page.add_style_tag(content=".toc, .modebar { display: none !important; }")
        page.locator("section[id$=pareto] select").select_option(label="FLOPs")
        for name, selector in PARTS.items():
            if page.locator(selector).count():
                shot = page.screenshot(full_page=True, clip=_around(page, selector))
                yield name, Image.open(BytesIO(shot)).convert("RGB")
        browser.close()


def _around(page: Any, selector: str) -> Any:
    return page.evaluate(
        """selector => {
          const boxes = [...document.querySelectorAll(selector)].map(found => found.getBoundingClientRect());
          const top = Math.min(...boxes.map(box => box.top)), bottom = Math.max(...boxes.map(box => box.bottom));
          return {x: 0, y: Math.max(top + scrollY - 8, 0), width: innerWidth, height: bottom - top + 20};
        }""",
        selector,
    )


def is_alike(one: Image.Image, path: Path) -> bool:
    """Return whether the picture at ``path`` is hardly different from ``one``."""
    if not path.exists():
        return False
    other = Image.open(path).convert("RGB")
    if other.size != one.size:
        return False
    different = ImageChops.difference(one, other).convert("L").point(lambda value: 255 * (value > 40))
    return different.histogram()[255] < 0.001 * one.width * one.height


def save(picture: Image.Image, path: Path) -> None:
    """Write ``picture``: photographs as JPEG, drawings in the few colours they have."""
    if path.suffix == ".jpg":
        picture.save(path, quality=78, optimize=True, progressive=True)
    else:
        picture.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def printed(arguments: Sequence[str], **variables: str) -> str:
    """Return what a command prints on a terminal, colours and all."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    size = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS)}  # a surrounding program may have set others
    environment = {**os.environ, **size, "TERM": "xterm-256color", "COLORTERM": "truecolor", **variables}
    process = subprocess.Popen(
        [sys.executable, "-m", "search", *arguments], stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    found = b""
    while True:
        try:
            part = os.read(own, 65536)
        except OSError:  # Linux says so when the last program has closed the terminal
            break
        if not part:
            break
        found += part
    os.close(own)
    if process.wait():
        raise SystemExit(f"ftsearch {' '.join(arguments)} failed:\n{found.decode()}")
    return found.decode().replace("\r\n", "\n")


def recorded(commands: Sequence[Sequence[str]], outputs: Sequence[str]) -> list[Shown]:
    """Return the lines of ``commands`` and of what they printed, each with its moment."""
    lines, second = [], 0.3
    screen = Console(width=COLUMNS, color_system="truecolor", force_terminal=True)
    for command, output in zip(commands, outputs, strict=True):
        typed = f"ftsearch {' '.join(command)}"
        lines.append(Shown(Text.assemble(("$ ", _PROMPT), (typed, "bold")), second))
        second += _TYPING_S * len(typed)
        for line in Text.from_ansi(output.rstrip("\n")).wrap(screen, COLUMNS):
            line.rstrip()
            lines.append(Shown(line, second))
            second += _ROW_S
        lines.append(Shown(Text(), second))
        second += _PAUSE_S
    return lines[:-1]


def drawn(lines: Sequence[Shown]) -> str:
    """Return the recording as an SVG; where nothing moves, as for readers who want that, all of it is there."""
    width, height = round(COLUMNS * _CHARACTER) + 2 * _EDGE, len(lines) * _LINE + 2 * _EDGE
    rows = []
    for place, (text, second) in enumerate(lines):
        y = _EDGE + (place + 0.75) * _LINE
        rows.append(
            f'<text class="l" style="animation-delay:{second:.2f}s" x="{_EDGE}" y="{y:.0f}">{_spans(text)}</text>'
        )
    words = escape("\n".join(text.plain for text, _ in lines))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>Commands on a terminal</title><desc>{words}</desc><style>'
        "text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;"
        f"fill:{_INK}}}@keyframes s{{from{{opacity:0}}to{{opacity:1}}}}"
        "@media (prefers-reduced-motion:no-preference){.l{animation:s .01s both}}</style>"
        f'<rect width="{width}" height="{height}" rx="8" fill="{_BACK}"/>{"".join(rows)}</svg>\n'
    )


def _spans(text: Text) -> str:
    parts = []
    console = Console(color_system="truecolor", force_terminal=True, width=COLUMNS)
    for segment in text.render(console):
        style, look = segment.style, ""
        if style is not None and style.bold:
            look += "font-weight:bold;"
        if style is not None and style.color is not None and not style.color.is_default:
            look += f"fill:{_hex(style.color)};"
        words = escape(segment.text.rstrip("\n"))
        parts.append(f'<tspan style="{look}">{words}</tspan>' if look else words)
    return "".join(parts)


_NAMED = {"green": "#3fc79a", "yellow": "#e3b341", "red": "#ff7b72", "cyan": "#6cb8f0", "magenta": "#CC79A7"}


def _hex(colour: Color) -> str:
    return _NAMED.get(colour.name, colour.get_truecolor().hex)


def main() -> None:
    """Make all pictures."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("study", help="name of a finished study")
    reader.add_argument("--storage", default="sqlite:///runs/ftsearch.db")
    reader.add_argument("--to", type=Path, default=Path("docs/pictures"))
    asked = reader.parse_args()
    asked.to.mkdir(parents=True, exist_ok=True)
    for name, picture in photographed(asked.storage, asked.study):
        if not is_alike(picture, asked.to / name):
            save(picture, asked.to / name)
    commands = [[part.format(study=asked.study) for part in command] for command in COMMANDS]
    outputs = [printed(command, FTSEARCH_STORAGE=asked.storage) for command in commands]
    (asked.to / "terminal.svg").write_text(drawn(recorded(commands, outputs)), encoding="utf-8")
    for path in sorted(asked.to.iterdir()):
        sys.stdout.write(f"{path} {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
