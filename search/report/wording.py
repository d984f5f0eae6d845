"""How names, numbers, changes and durations are written, in reports and terminals alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search.records.uncertainty import SHARES

_WRITTEN = {"map": "mAP", "map_50": "mAP50", "map_75": "mAP75", "mar_100": "mAR100", "miou": "mIoU", "iou": "IoU"}
"""Metrics whose names have capitals."""


def metric_name(metric: str) -> str:
    """Return a metric's name for people: ``balanced accuracy``, ``mAP50``."""
    return _WRITTEN.get(metric) or metric.replace("_", " ")


DIGITS = 4
"""Decimals of a metric's value, wherever one is shown."""


def change(difference: float, metric: str) -> str:
    """Return the difference of two values with its sign: ``+1.4 points``, or ``-0.0800`` for metrics without points."""
    sign = "+" if difference > 0 else "\u2212" if difference < 0 else "\u00b1"
    return f"{sign}{size_of_change(abs(difference), metric)}"


def size_of_change(size: float, metric: str) -> str:
    """Return the size of a difference of two values: ``1.4 points``, or ``0.0800`` for metrics without points."""
    if metric not in SHARES:
        return number(size)
    points = 100 * size
    digits = 1 if points >= 0.095 or not points else 2
    return f"{points:.{digits}f} points"


def listed(parts: Sequence[str], noun: str = "") -> str:
    """Return ``a``, ``a and b``, ``a, b and c``, after ``noun`` in singular or plural."""
    text = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
    return f"{noun}{'s' * (len(parts) != 1)} {text}" if noun else text


def number(value: float | None, digits: int = DIGITS) -> str:
    """Return a metric's value: ``0.9721``; a dash for none."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:.3g}"


def signed(value: float, digits: int = 4) -> str:
    """Return a difference with its sign."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}".replace("-", "\u2212") if rounded else f"\u00b1{0:.{digits}f}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share: ``68 %``."""
    return f"{100 * share:.{digits}f} %"


def count(value: float) -> str:
    """Return parameters or FLOPs in thousands, millions, billions: ``3.50 M``."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g} {unit}"
    return f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return a time as text: ``42 s``, ``3 min 20 s``, ``2 h 05 min``; a dash where it is no number."""
    if not finite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def finite(value: float | None) -> bool:
    """Return whether the value is a number that can be written or drawn."""
    return value is not None and math.isfinite(value)
