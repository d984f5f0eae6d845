from __future__ import annotations

import copy
import functools

import pytest
import torch
from torch import nn

from spaces.backbones._base import Pretrained
from spaces.chains import probe
from spaces.chains.signature import Remembered, signature
from spaces.surgery import edits, kernels


def test_copies_are_alike_whatever_their_weights(tiny: Pretrained) -> None:
    for unit in tiny.chain:
        copied = copy.deepcopy(unit.module)
        for parameter in copied.parameters():
            parameter.data.zero_()
        assert signature(copied) == signature(unit.module) is not None


def test_units_that_compute_something_else_are_not(tiny: Pretrained) -> None:
    stem, first, second, last = (signature(unit.module) for unit in tiny.chain)
    assert len({stem, first, last}) == 3
    assert second is not None


def test_every_edit_makes_a_difference_and_the_same_edit_the_same(tiny: Pretrained) -> None:
    plain = tiny.chain.units[1].module
    changed = [
        kernels.with_kernels(plain, tuple(c.path for c in probe.convolutions(plain)), size) for size in (5, 7, 5)
    ]
    assert signature(changed[0]) == signature(changed[2])
    assert len({signature(plain), *(signature(module) for module in changed)}) == 3
    last = tiny.chain.units[3].module
    assert signature(edits.remove_stride(last)) != signature(last)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, padding=1)),
        (nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3, dilation=2)),
        (nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1, groups=2)),
        (nn.MaxPool2d(2), nn.AvgPool2d(2)),
        (nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Sequential(nn.Flatten(), nn.ReLU())),
        (nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((1, None))),
    ],
)
def test_a_setting_makes_a_difference(one: nn.Module, other: nn.Module) -> None:
    assert signature(one) != signature(other)
    assert signature(one) == signature(copy.deepcopy(one))


def test_what_cannot_be_read_off_is_like_nothing_else() -> None:
    class Odd(nn.Module):
        def __init__(self, way: object) -> None:
            super().__init__()
            self.way = way

    assert signature(Odd(object())) is None
    assert signature(Odd(functools.partial(torch.relu))) is None
    assert signature(Odd(lambda x: x)) is not None
    assert signature(nn.Sequential(nn.ReLU(), Odd([object()]))) is None
    assert signature(Odd(torch.relu)) != signature(Odd(torch.sigmoid))


def test_a_probe_is_not_repeated_for_a_module_that_is_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            return x[:, :2]

    first = probe.run(Counting(), (3, 16, 17))
    assert probe.run(Counting(), (3, 16, 17)) == first
    assert len(calls) == 1
    probe.run(Counting(), (3, 16, 18))
    assert len(calls) == 2


def test_the_oldest_answer_makes_room_and_no_key_is_never_remembered() -> None:
    remembered: Remembered[str, int] = Remembered(most=2)
    for answer, key in enumerate(("a", "b", None, "c")):
        remembered.put(key, answer)
    assert [remembered.get(key) for key in ("a", "b", None, "c")] == [None, 1, None, 3]
