from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaces.errors import SurgeryError
from spaces.surgery import kernels


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.sampled_from([1, 3, 5]),
    grow=st.sampled_from([0, 2, 4]),
    groups=st.sampled_from([1, 2, 4]),
    stride=st.sampled_from([1, 2]),
    dilation=st.sampled_from([1, 2]),
    padding=st.sampled_from([0, 1, 2]),
    bias=st.booleans(),
)
def test_a_wider_kernel_computes_the_same_function(
    kernel: int, grow: int, groups: int, stride: int, dilation: int, padding: int, bias: bool
) -> None:
    conv = nn.Conv2d(4, 8, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups, bias=bias)
    images = torch.randn(2, 4, 16, 16)
    torch.testing.assert_close(kernels.resize_kernel(conv, kernel + grow)(images), conv(images), rtol=1e-5, atol=1e-5)


def test_a_narrower_kernel_keeps_the_centre_and_the_shape() -> None:
    conv = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    narrow = kernels.resize_kernel(conv, 3)
    torch.testing.assert_close(narrow.weight, conv.weight[..., 1:4, 1:4])
    assert narrow(torch.randn(1, 4, 9, 9)).shape == (1, 4, 9, 9)


def test_resizing_leaves_the_original_alone() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    wide = kernels.resize_kernel(conv, 5)
    with torch.no_grad():
        wide.weight.zero_()
        assert conv.weight.abs().sum() > 0
    assert conv.kernel_size == (3, 3)
    assert conv.padding == (1, 1)


@pytest.mark.parametrize(
    ("conv", "size", "reason"),
    [
        (nn.Conv2d(3, 3, 3), 4, "odd"),
        (nn.Conv2d(3, 3, (1, 7)), 5, "square"),
        (nn.Conv2d(3, 3, 2), 3, "odd kernels"),
        (nn.Conv2d(3, 3, 5), 3, "negative padding"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), 5, "zero padding"),
    ],
)
def test_what_cannot_be_resized_is_refused_with_the_reason(conv: nn.Conv2d, size: int, reason: str) -> None:
    with pytest.raises(SurgeryError, match=reason):
        kernels.resize_kernel(conv, size)
