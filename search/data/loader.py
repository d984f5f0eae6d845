"""Batches of one split of any kind of samples: the same for the same seed and epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from search.data.sample import Part
from search.data.targets import Targets
from search.records.study import Json


@dataclass(frozen=True, slots=True)
class Views:
    """A fixed set of augmented views of every sample, so that what is computed from them can be cached.

    Attributes:
        count: number of views; epochs use them in turn, starting over after the last.
        seed: the study's, so that its trials share the views.
    """

    count: int
    seed: int


class Loader(ABC):
    """Batches of a split, epoch by epoch.

    Attributes:
        seed: of the order and of the augmentation.
        views: None draws a new augmentation in every epoch.
        shuffle: whether every epoch has a new order; the last batch is left out if it would hold a single sample.
        weights: relative frequency of each sample ``(N,)``; an epoch then is as many draws, with replacement, as there
            are samples. None takes each sample once.
        mixes_features: whether the outputs of frozen units are mixed instead of the inputs.
        parts: the data sets whose samples these are, one after the other; each varies as it does by itself. Empty for a
            data set of its own.
    """

    batch_size: int
    device: torch.device
    seed: int
    views: Views | None
    shuffle: bool
    weights: Tensor | None = None
    mixes_features: bool = False
    parts: tuple[Part, ...] = ()

    @property
    @abstractmethod
    def count(self) -> int:
        """Samples of the split."""

    @property
    @abstractmethod
    def facts(self) -> Sequence[Json]:
        """Identifies how samples become inputs, apart from their own content; plain data."""

    @property
    def variation(self) -> str:
        """Identifies what varies from view to view; the text ``None`` if nothing does."""
        return "None"

    def extent(self, chosen: Tensor) -> int | None:
        """Return the length of the second axis of the inputs at the indices ``chosen``, if lengths differ.

        The longest text of a batch has that many tokens; beyond them there is only padding. None if all inputs have
        the same shape.
        """
        return None

    @property
    def is_random(self) -> bool:
        """Whether two views of a sample can differ."""
        return False

    @property
    def is_mixed(self) -> bool:
        """Whether samples of a batch are mixed with one another."""
        return False

    def can_mix(self, shape: Sequence[int]) -> bool:
        """Return whether outputs of units, of this ``shape`` for one sample, can be mixed as the inputs are."""
        return False

    def mixing(self, number: int) -> Callable[[Tensor, Targets], tuple[Tensor, Targets]]:
        """Return what mixes inputs and targets of every batch of epoch ``number``, called on one after the other."""
        return lambda inputs, targets: (inputs, targets)

    @abstractmethod
    def inputs(self, chosen: Tensor, number: int) -> Tensor:
        """Return the inputs ``(B, ...)`` of the samples at the indices ``chosen``, as epoch ``number`` sees them."""

    @abstractmethod
    def targets(self, chosen: Tensor, number: int) -> Targets:
        """Return their targets, which match ``inputs``."""

    def __len__(self) -> int:
        """Batches an epoch."""
        count, rest = divmod(self.count, self.batch_size)
        return max(count + (rest > 1 if self.shuffle else rest > 0), 1)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Targets]]:
        """Yield inputs and targets of every batch of epoch ``number``."""
        mixed = self.mixing(number)
        for chosen in self.order(number):
            yield mixed(self.inputs(chosen, number), self.targets(chosen, number))

    def order(self, number: int) -> list[Tensor]:
        """Return the indices of the samples in every batch of epoch ``number``."""
        order = torch.arange(self.count)
        if self.shuffle and self.weights is not None:
            random = generator(self.seed, number, 0)
            order = torch.multinomial(self.weights, self.count, replacement=True, generator=random)
        elif self.shuffle:
            order = torch.randperm(self.count, generator=generator(self.seed, number, 0))
        return list(torch.split(order, self.batch_size))[: len(self)]

    def view(self, number: int) -> int:
        """Return the index of the fixed view that epoch ``number`` uses."""
        return (number - 1) % self.views.count if self.views else 0

    def every(self, number: int, batch_size: int) -> Iterator[tuple[slice, Tensor]]:
        """Yield all inputs as epoch ``number`` sees them, unmixed and in order, with their indices."""
        for start in range(0, self.count, batch_size):
            part = slice(start, min(start + batch_size, self.count))
            yield part, self.inputs(torch.arange(part.start, part.stop), number)


class Subset(Loader):
    """The samples ``chosen`` of another loader, in this order, as it returns them."""

    shuffle = False

    def __init__(self, whole: Loader, chosen: Tensor) -> None:
        self._whole, self._chosen = whole, chosen
        self.batch_size, self.device, self.seed, self.views = whole.batch_size, whole.device, whole.seed, whole.views

    @property
    def count(self) -> int:
        return len(self._chosen)

    @property
    def facts(self) -> Sequence[Json]:
        return (*self._whole.facts, "part", self._chosen.tolist())

    @property
    def variation(self) -> str:
        return self._whole.variation

    @property
    def is_random(self) -> bool:
        return self._whole.is_random

    def extent(self, chosen: Tensor) -> int | None:
        return self._whole.extent(self._chosen[chosen])

    def inputs(self, chosen: Tensor, number: int) -> Tensor:
        return self._whole.inputs(self._chosen[chosen], number)

    def targets(self, chosen: Tensor, number: int) -> Targets:
        return self._whole.targets(self._chosen[chosen], number)


class Stretch(Subset):
    """Samples of another loader that are all those of one of its ``parts``, identified as they are there."""

    @property
    def facts(self) -> Sequence[Json]:
        return self._whole.facts


def generator(seed: int, turn: int, purpose: int) -> torch.Generator:
    """Return a random generator for one purpose in one epoch."""
    return torch.Generator().manual_seed(((seed * 9_176_263 + turn) * 4 + purpose) % 2**63)
