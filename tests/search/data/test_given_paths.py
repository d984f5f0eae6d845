from __future__ import annotations

from pathlib import Path

import pytest

from search.data.given_paths import given_path


def test_a_path_is_below_the_base_absolute_or_in_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert given_path(tmp_path, "data/x") == tmp_path / "data" / "x"
    assert given_path(tmp_path, Path("/elsewhere")) == Path("/elsewhere")
    assert given_path(tmp_path, "~/x") == tmp_path / "home" / "x"
    assert given_path(tmp_path, "~nobody-of-this-name/x") == tmp_path / "~nobody-of-this-name" / "x"
