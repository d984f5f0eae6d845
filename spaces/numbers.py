"""Numbers as people read them: one form for a number wherever it stands."""

from __future__ import annotations

import math


def short(value: float) -> str:
    """Return ``value`` in three digits: ``0.05``, ``4.5e-4``, ``30``, ``1.2e5``; ``4.5e-4`` never as ``0.00045``."""
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"
