from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from search.errors import UserError
from search.records.study import StudyRecord
from search.report import images
from search.report.figures import figures

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


def test_without_kaleido_it_says_what_to_install(
    study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(UserError, match=r"pip install 'ftsearch\[png\]'"):
        images.write((study,), tmp_path)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.filterwarnings("ignore")  # kaleido's own
def test_every_figure_becomes_a_picture(study: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("kaleido")
    monkeypatch.setattr("search.report.page.figures", lambda: figures()[:2])
    found = images.write((replace(study, name="a/b"),), tmp_path / "pictures")
    assert [path.name for path in found] == [f"a_b-{figure.name}.png" for figure in figures()[:2]]
    for path in found:
        with Image.open(path) as image:
            assert image.width == 2200
