"""Summary statistics of a data set's images, from a small sample, by which similar data sets are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from PIL import Image

from search.data.sample import Sample

_MOST = 48
_SIDE = 64


def image_statistics(samples: Sequence[Sample]) -> Mapping[str, float]:
    """Return brightness, contrast, saturation and detail from 0 to 1, and the side of the images in pixels.

    Medians over at most 48 evenly spaced images. Empty if the samples are not images, or cannot be opened now.
    """
    if not samples:
        return {}
    stride = max(len(samples) // _MOST, 1)
    try:
        rows = [_look(sample.input.open()) for sample in samples[::stride][:_MOST]]
    except (OSError, ValueError, AttributeError):
        return {}
    return {name: round(median(look[name] for look in rows), 4) for name in rows[0]}


def _look(image: Image.Image) -> dict[str, float]:
    small = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BILINEAR), dtype=np.float64) / 255
    grey = small @ np.array([0.299, 0.587, 0.114])
    high, low = small.max(axis=2), small.min(axis=2)
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey.std() * 2),
        "saturation": float(((high - low) / np.maximum(high, 1e-6)).mean()),
        "detail": float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()),
        "side": float((image.width * image.height) ** 0.5),
    }
