"""What tests of all data formats need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from search.data.sample import Dataset, Sample


@pytest.fixture
def by_file(tmp_path: Path) -> Callable[[Dataset], dict[str, Sample]]:
    """Samples by their files' paths: the order of samples in a data set is decided by their content alone."""
    return lambda found: {str(Path(sample.input.name).relative_to(tmp_path)): sample for sample in found.samples}
