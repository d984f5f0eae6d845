"""A study opened on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec


@pytest.fixture
def runtime(study_file: Path) -> StudyRuntime:
    return open_runtime(load_spec(study_file), "cpu")
