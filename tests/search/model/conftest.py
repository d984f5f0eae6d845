"""What tests of opened models share."""

from __future__ import annotations

import pytest

from search.model.folder import ImagePreprocessing, ModelFacts, Origin


@pytest.fixture
def stranger() -> ModelFacts:
    """Return the facts of a model that a stranger has made; nothing is odd about them."""
    return ModelFacts(
        name="stranger",
        study="study",
        trial=0,
        task="classification",
        classes=("a", "b"),
        words="",
        backbone="torchvision:squeezenet1_1",
        weights=Origin(name="none"),
        frame=ImagePreprocessing(size=(4, 4), resize=(4, 4), mean=(0.5,) * 3, std=(0.5,) * 3, interpolation="bilinear"),  # type: ignore[arg-type]
        base_size=(32, 32),
        objective="accuracy",
        metrics={},
        stored={},
        images=1,
        dataset="",
        dataset_fingerprint="",
        parameters=1,
        flops=1,
        created="",
        files={},
        checks=(),
    )
