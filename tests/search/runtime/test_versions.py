"""Versions of what results depend on are those that are installed."""

from __future__ import annotations

import platform

import pytest
import torch

from search.runtime import versions


def test_every_package_is_named_with_its_installed_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "PACKAGES", ("torch", "no-such-package"))
    found = versions.versions()
    assert found["python"] == platform.python_version()
    assert found["torch"] == torch.__version__.partition("+")[0]
    assert found["no-such-package"] == "not installed"
