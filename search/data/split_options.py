"""How data without a validation split are split; the options that all formats share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from search.data import splits
from search.data.broken_samples import OnError
from search.data.sample import Split

Divide = Callable[[Sequence[Any], float], Sequence[Split]]
"""Splits training samples, given their targets, into training, validation, and a test part of the given share."""
LARGEST_SEED = 2**32 - 1
"""Largest seed that every random generator accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitOptions:
    """How data are split, and what happens to inputs that cannot be read.

    Attributes:
        val_share: taken from the training samples if there is no validation split; ``test_share`` likewise.
        seed: of that split.
        on_error: ``refuse`` broken inputs, or ``skip`` and list them.
    """

    val_share: float = 0.2
    test_share: float = 0.0
    seed: int = 0
    on_error: OnError = "refuse"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"seed must be from 0 to {LARGEST_SEED}, got {self.seed}")
        for name in ("val_share", "test_share"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {share:g}")
        if self.val_share == 0:
            raise ValueError("val_share must be above 0: candidates are compared on the validation part")
        if self.val_share + self.test_share >= 0.9:
            raise ValueError(f"val_share + test_share must be below 0.9, got {self.val_share + self.test_share:g}")

    def by_class(self, names: Sequence[str]) -> Divide:
        """Return a stratified split of targets that are indices of the classes ``names``."""
        return lambda targets, share: splits.cut(targets, names, self.val_share, share, self.seed)

    def by_classes(self, count: int, read: Callable[[Any], Sequence[int]] = tuple) -> Divide:
        """Return a split that gives each of ``count`` classes its share; ``read`` returns the classes in a target."""
        return lambda targets, share: splits.cut_sets(
            [read(target) for target in targets], count, self.val_share, share, self.seed
        )

    def by_number(self) -> Divide:
        """Return a split with the same distribution of the targets' first number in every part."""
        return lambda targets, share: splits.cut_numbers(
            [target[0] for target in targets], self.val_share, share, self.seed
        )
