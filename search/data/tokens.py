"""Batches of token ids, padded only to the longest text of each batch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from search.data.loader import Loader, Views, generator
from search.data.targets import Targets
from search.data.transfer import sent
from search.records.study import Json

IGNORED = -100
"""Class of tokens without one: padding, and all but the first token of a word."""
_POOL = 50
"""Number of batches whose texts are sorted by length together: enough to save padding, few enough to stay random."""
_MULTIPLE = 8
"""On GPUs, lengths are rounded up to a multiple of it, which suits their matrix units."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """All texts of a split.

    Attributes:
        ids: token ids ``(N, T)``, int32, padded at the end; ``lengths`` the number of real ones in each row ``(N,)``.
        targets: of each text; with ``aligned`` a class for each token, ``(N, T)``.
    """

    ids: Tensor
    lengths: Tensor
    padding: int
    targets: Targets
    aligned: bool = False

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """Identifies the texts as they are encoded, in their order."""
        return hashlib.sha256(self.ids.contiguous().numpy().tobytes()).hexdigest()


def encoded(
    rows: Sequence[Sequence[int]],
    padding: int,
    targets: Targets | None = None,
    classes: Sequence[Sequence[int]] | None = None,
) -> Encoded:
    """Return texts of different lengths as one tensor; ``classes`` holds one per token, instead of ``targets``."""
    lengths = torch.tensor([len(row) for row in rows])
    ids = _padded(rows, padding, torch.int32)
    if classes is not None:
        return Encoded(ids, lengths, padding, _padded(classes, IGNORED, torch.int64), aligned=True)
    if targets is None:
        raise ValueError("expected targets, or a class for each token")
    return Encoded(ids, lengths, padding, targets)


def _padded(rows: Sequence[Sequence[int]], filling: int, dtype: torch.dtype) -> Tensor:
    padded = torch.full((len(rows), max((len(row) for row in rows), default=0)), filling, dtype=dtype)
    for index, row in enumerate(rows):
        padded[index, : len(row)] = torch.tensor(row, dtype=dtype)
    return padded


@dataclass(slots=True, kw_only=True)
class TokenBatches(Loader):
    """All batches of a split of texts, epoch by epoch.

    Attributes:
        shuffle: whether every epoch has a new order, in which the texts of a batch are of similar length.
        framed: whatever else identifies how texts became tokens.
    """

    texts: Encoded
    batch_size: int
    device: torch.device
    seed: int = 0
    views: Views | None = None
    shuffle: bool = False
    framed: tuple[Json, ...] = ()
    _ids: Tensor = field(init=False, repr=False)
    _targets: Targets = field(init=False, repr=False)
    _digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._ids, self._targets = self.texts.ids.to(self.device), self.texts.targets.to(self.device)
        self._digest = self.texts.digest

    @property
    def count(self) -> int:
        return len(self.texts)

    @property
    def facts(self) -> Sequence[Json]:
        return ("tokens", self._digest, *self.framed)

    def extent(self, chosen: Tensor) -> int:
        """Return the length, in tokens, of the longest text at the indices ``chosen``."""
        longest = int(self.texts.lengths[chosen].max())
        step = _MULTIPLE if self.device.type == "cuda" else 1
        return min(-(-longest // step) * step, self.texts.ids.shape[1])

    def inputs(self, chosen: Tensor, number: int) -> Tensor:
        """Return the token ids ``(B, T)``, int64, of the texts at the indices ``chosen``."""
        rows = self._ids[:, : self.extent(chosen)]
        return rows.index_select(0, sent(chosen, self.device)).long()

    def targets(self, chosen: Tensor, number: int) -> Targets:
        if not isinstance(self._targets, Tensor):
            return self._targets.index_select(0, chosen)
        targets = self._targets.index_select(0, sent(chosen, self.device))
        return targets[:, : self.extent(chosen)] if self.texts.aligned else targets

    def order(self, number: int) -> list[Tensor]:
        """Return the indices of the texts in every batch: texts of similar length together, the batches shuffled.

        A few batches' worth of texts, drawn at random, are sorted by length and divided into batches; so batches
        differ from epoch to epoch, and little of them is padding.
        """
        if not self.shuffle:
            return list(torch.split(torch.arange(self.count), self.batch_size))[: len(self)]
        random = generator(self.seed, number, 0)
        batches: list[Tensor] = []
        for pool in torch.split(torch.randperm(self.count, generator=random), self.batch_size * _POOL):
            longest_first = pool[self.texts.lengths[pool].argsort(descending=True, stable=True)]
            batches += torch.split(longest_first, self.batch_size)
        batches = batches[: len(self)]  # only the very last one can be short
        return [batches[index] for index in torch.randperm(len(batches), generator=random).tolist()]
