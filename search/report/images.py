"""Writes figures as PNG files, drawn by an installed Chromium through kaleido."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from search.errors import UserError
from search.records.study import StudyRecord
from search.report import theme
from search.report.page import drawings

_WIDTH, _SCALE = 1100, 2


def write(studies: Sequence[StudyRecord], folder: Path) -> list[Path]:
    """Write every figure of a report to ``folder`` as ``STUDY-FIGURE.png``, 2200 pixels wide, and return the files.

    Of figures with several views, the first is written.

    Raises:
        UserError: kaleido is not installed, finds no browser, or the folder cannot be written to.
    """
    try:
        import kaleido  # noqa: PLC0415  # optional, and it starts a browser
    except ImportError as error:
        raise UserError("--png needs kaleido: pip install 'ftsearch[png]'") from error
    jobs = []
    for key, _, figure in drawings(studies):
        study, name = key.split("/")
        theme.without_menu(figure)
        figure.update_layout(paper_bgcolor="white", plot_bgcolor="white", font_color="#1f2328", width=_WIDTH)
        owner = re.sub(r"[^\w.-]+", "_", studies[int(study)].name) if study.isdigit() else study
        path = folder / f"{owner}-{name}.png"
        jobs.append({"fig": figure, "path": str(path), "opts": {"format": "png", "scale": _SCALE, "width": _WIDTH}})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        kaleido.write_fig_from_object_sync(jobs)
    except OSError as error:
        raise UserError(f"cannot write pictures to {folder}: {error.strerror}; name another folder") from error
    except Exception as error:
        # choreographer's own errors are about the browser
        if type(error).__module__.split(".")[0] not in ("choreographer", "kaleido"):
            raise
        raise UserError(
            f"no browser to draw pictures with ({error}); install Chromium, or name it in BROWSER_PATH"
        ) from error
    return [Path(str(job["path"])) for job in jobs]
