from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.loader import Loader
from search.training.precision import choose
from search.training.pseudo import PseudoLabelled


class Numbers(Loader):
    """Samples are numbers, classes their signs."""

    def __init__(self, values: Tensor, labels: Tensor, batch_size: int = 4) -> None:
        self.values, self.own, self.batch_size = values[:, None], labels, batch_size
        self.device, self.seed, self.views, self.shuffle = torch.device("cpu"), 0, None, False

    @property
    def count(self) -> int:
        return len(self.values)

    @property
    def facts(self) -> tuple[str, ...]:
        return ()

    def inputs(self, chosen: Tensor, number: int) -> Tensor:
        return self.values[chosen]

    def targets(self, chosen: Tensor, number: int) -> Tensor:
        return self.own[chosen]


class Sign(nn.Module):
    """Sure of large numbers, unsure of small ones."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, values: Tensor) -> Tensor:
        return self.drop(torch.cat([-values, values], dim=1))


def learner(weight: float = 0.5, threshold: float = 0.9) -> PseudoLabelled:
    labelled = Numbers(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]), torch.tensor([1, 0, 1, 0, 1]))
    unknown = Numbers(torch.tensor([5.0, 0.1, -5.0, 3.0, -0.2]), torch.zeros(5, dtype=torch.int64))
    return PseudoLabelled(
        labelled=labelled,
        plain=unknown,
        varied=unknown,
        network=Sign(),
        precision=choose(torch.device("cpu"), "float32"),
        classes=2,
        threshold=threshold,
        weight=weight,
        seed=1,
    )


def batches(of: PseudoLabelled, number: int) -> Iterator[tuple[Tensor, Tensor]]:
    of.network.train()
    yield from of.epoch(number)
    assert of.network.training


def test_the_first_epoch_is_of_labels_alone() -> None:
    own = learner()
    found = list(batches(own, 1))
    assert [len(images) for images, _ in found] == [4, 1]
    assert torch.equal(
        torch.cat([targets for _, targets in found]).argmax(dim=1), own.labelled.targets(torch.arange(5), 1)
    )
    assert own.facts() == {"pseudo": {"unlabelled": 5, "used": [0]}}


def test_only_what_is_sure_enough_is_learnt_from_with_the_class_it_was_given() -> None:
    own = learner()
    rows, labels = own.confident()
    assert rows.tolist() == [0, 2, 3]
    assert labels.tolist() == [1, 0, 1]
    seen = torch.cat([images for images, _ in batches(own, 2)]).squeeze(1).tolist()
    assert sorted(seen) == [-5.0, -1.0, -1.0, 1.0, 1.0, 1.0, 3.0, 5.0]
    assert own.used == [3]
    assert learner(threshold=1.1).confident()[0].tolist() == []


def test_a_pseudo_labelled_image_counts_its_weight_of_a_labelled_one() -> None:
    own = learner(weight=0.5)
    images, targets = next(batches(own, 2))
    logits = torch.cat([-images, images], dim=1)
    loss = F.cross_entropy(logits, targets)
    known, guessed = slice(0, 4), slice(4, None)
    labels = (images.squeeze(1) > 0).long()
    parts = [F.cross_entropy(logits[part], labels[part], reduction="sum") for part in (known, guessed)]
    torch.testing.assert_close(loss, (parts[0] + 0.5 * parts[1]) / 4)


def test_the_same_epoch_is_the_same_again() -> None:
    first, second = list(batches(learner(), 3)), list(batches(learner(), 3))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, second, strict=True))
