from __future__ import annotations

import pytest
from torch import nn

from spaces.decoders._base import Plan
from spaces.decoders.deeplabv3 import decoder
from spaces.heads import Tap


@pytest.mark.parametrize(("reduction", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [3, 6, 9])])
def test_its_dilations_follow_from_the_output_stride(reduction: int, rates: list[int]) -> None:
    tap = Tap(3, "x", reduction, (32, 8, 8))
    assert decoder.taps((Tap(0, "y", 2, (8, 16, 16)), tap)) == (tap,)
    built = decoder.build(Plan((tap,), 3, 16, 1))
    dilations = [module.dilation[0] for module in built.modules() if isinstance(module, nn.Conv2d)]
    assert [dilation for dilation in dilations if dilation > 1] == rates
