"""Pseudo-labels: the network labels images in one epoch, where it is confident, for the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.loader import Loader, generator
from search.data.transfer import sent
from search.records.study import Json
from search.training.precision import Precision

_PURPOSE = 3


@dataclass(slots=True, kw_only=True)
class PseudoLabelled:
    """Batches of labelled images, each joined by images that the network has labelled itself.

    At the beginning of every epoch but the first the network labels all unlabelled images as they are; those whose
    class is at least ``threshold`` probable are learnt from, augmented, in this epoch. (Pseudo-Label, Lee 2013;
    threshold and augmentation as in FixMatch, https://arxiv.org/abs/2001.07685.) Targets are class probabilities,
    scaled so that the loss of a batch is the mean over its labelled images plus ``weight`` times the sum over the
    others, divided by the same number: a pseudo-labelled image counts ``weight`` of a labelled one. A batch takes at
    most as many of them as it has labelled ones; where there are more, each epoch draws others.

    Attributes:
        labelled: batches with class indices or class probabilities.
        plain: the unlabelled images as validation would see them; ``varied`` the same, augmented.
        used: how many were confident enough in each epoch, for the trial's record.
    """

    labelled: Loader
    plain: Loader
    varied: Loader
    network: nn.Module
    precision: Precision
    classes: int
    threshold: float
    weight: float
    seed: int
    used: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.labelled)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images ``(B + P, 3, h, w)`` and scaled class probabilities ``(B + P, classes)`` of epoch ``number``."""
        rows, labels = self.confident() if number > 1 else (torch.zeros(0, dtype=torch.int64),) * 2
        self.used.append(len(rows))
        order = torch.randperm(len(rows), generator=generator(self.seed, number, _PURPOSE))
        pieces = order.tensor_split(len(self))
        for (images, targets), piece in zip(self.labelled.epoch(number), pieces, strict=False):
            if not isinstance(targets, Tensor) or not isinstance(images, Tensor):
                raise TypeError(f"pseudo-labels need a class a sample, got targets {type(targets).__name__}")
            known = F.one_hot(targets, self.classes).float() if targets.ndim == 1 else targets
            chosen = piece[: len(images)]
            if not len(chosen):
                yield images, known
                continue
            guessed = sent(F.one_hot(labels[chosen], self.classes).float(), known.device) * self.weight
            scale = (len(known) + len(chosen)) / len(known)
            more = self.varied.inputs(rows[chosen], number)
            yield torch.cat([images, more]), torch.cat([known, guessed]) * scale

    @torch.no_grad()
    def confident(self) -> tuple[Tensor, Tensor]:
        """Return the indices of the unlabelled images that the network is confident of, and their classes (CPU)."""
        was_training = self.network.training
        self.network.eval()
        sure, predicted = [], []
        for images, _ in self.plain.epoch(1):
            with self.precision.autocast():
                outputs = self.network(self.precision.place(images))
            confidence, classes = outputs.float().softmax(dim=1).max(dim=1)
            sure.append(confidence)
            predicted.append(classes)
        self.network.train(was_training)
        sure_ones = (torch.cat(sure) >= self.threshold).nonzero().squeeze(1).cpu()
        return sure_ones, torch.cat(predicted).cpu()[sure_ones]

    def facts(self) -> dict[str, Json]:
        """Return how many of the unlabelled images were learnt from in each epoch."""
        return {"pseudo": {"unlabelled": self.plain.count, "used": list(self.used)}}
