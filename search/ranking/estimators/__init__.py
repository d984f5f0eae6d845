"""How well a backbone's features suit labelled data, estimated without training it: one estimator per file."""

from __future__ import annotations

from collections.abc import Sequence

from search.errors import UserError
from search.ranking.estimators._base import Estimator
from spaces.plugins import load


def estimators(names: Sequence[str] = ()) -> dict[str, Estimator]:
    """Return the estimators called ``names``, or every one, by name.

    Raises:
        UserError: there is no such estimator.
    """
    known: dict[str, Estimator] = load("search.ranking.estimators", "estimator", "ftsearch.ranking")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"unknown estimator {unknown[0]!r}; expected one of {', '.join(known)}")
    chosen = names or sorted(known, key=lambda name: (known[name].rank, name))
    return {name: known[name] for name in dict.fromkeys(chosen)}
