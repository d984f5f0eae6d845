from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_store_that_cannot_be_reached_is_refused(ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("serve-storage", "--storage", "postgresql://me:secret@127.0.0.1:1/x")
    assert (done.code, "cannot reach the database" in done.err) == (2, True)
    assert "secret" not in done.out + done.err


def test_it_listens_on_loopback_by_default(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr("search.sampling.optuna_storage.serve", lambda *_, **given: asked.append(given))
    assert ftsearch("serve-storage").code == 0
    done = ftsearch("serve-storage", "--host", "0.0.0.0")
    assert "no login and no encryption" in done.out
    assert [given["host"] for given in asked] == ["127.0.0.1", "0.0.0.0"]
