from __future__ import annotations

from typing import Any

import pytest
import torch
from cuda_standin import stand_in
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from search.training import precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("amx", "avx512", "dtype"),
    [(False, False, None), (True, False, torch.bfloat16), (False, True, torch.bfloat16)],
)
def test_the_cpu_computes_in_bf16_only_where_it_has_a_unit_for_it(
    amx: bool, avx512: bool, dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    found = precision.choose(CPU)
    assert found.dtype is dtype
    assert found.channels_last
    assert not found.scaler.is_enabled()
    assert precision.choose(CPU, "float32").dtype is None


@pytest.mark.parametrize(
    ("layer", "inside"),
    [
        (nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), torch.float32),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), torch.bfloat16),
        (nn.Conv2d(8, 8, 5, padding=2, groups=8), torch.float32),
        (nn.Conv2d(8, 8, (1, 7), padding=(0, 3), groups=8), torch.float32),
        (nn.Conv2d(8, 8, 5, padding=2), torch.bfloat16),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1), torch.bfloat16),
    ],
)
def test_what_is_slow_in_bf16_runs_in_float32(layer: nn.Conv2d, inside: torch.dtype) -> None:
    images = torch.randn(2, 8, 8, 8, requires_grad=True)
    with precision.choose(CPU, "bf16").autocast():
        outputs = layer(images)
    assert outputs.dtype is torch.bfloat16
    expected = layer(images)
    torch.testing.assert_close(outputs.float(), expected, atol=0.05, rtol=0.05)
    outputs.float().square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype is torch.float32
    last = outputs.grad_fn.name()  # type: ignore[union-attr]
    assert ("Copy" in last) is (inside is torch.float32)  # the convolution's output was turned into bf16


def test_weights_of_a_dilated_depthwise_convolution_learn_from_nothing_but_their_inputs() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(24, 24, 3, padding=2, dilation=2, groups=24, bias=False).to(memory_format=torch.channels_last)
    images = torch.randn(8, 24, 24, 32).contiguous(memory_format=torch.channels_last)
    layer(images).square().sum().backward()
    expected = layer.weight.grad
    for _ in range(3):
        spoilt = [torch.full((2**power,), float("nan"), dtype=torch.bfloat16) for power in range(10, 24)]
        del spoilt  # memory that the next tensors are laid in
        layer.weight.grad = None
        with precision.choose(torch.device("cpu"), "bf16").autocast():
            outputs = layer(images)
        outputs.float().square().sum().backward()
        torch.testing.assert_close(layer.weight.grad, expected, rtol=0.05, atol=0.05 * float(expected.abs().max()))


def test_a_network_with_activations_in_place_trains_in_bf16_as_in_float32() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(inplace=True), nn.Flatten(), nn.LazyLinear(3)
    )
    images, gradients = torch.randn(4, 3, 8, 8), []
    for wanted in ("float32", "bf16"):
        network.zero_grad()
        with precision.choose(CPU, wanted).autocast():
            network(images).float().square().mean().backward()
        gradients.append(network[0].weight.grad.clone())
    assert torch.nn.functional.cosine_similarity(*(part.flatten() for part in gradients), dim=0) > 0.999


def test_frozen_attention_does_not_copy_its_weights_for_every_sample() -> None:
    """Which makes ViT-B/16 ten times slower: ``F.linear`` of transposed samples is a batched product then."""
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(16, 2, batch_first=True).eval().requires_grad_(False)
    tokens, products = torch.randn(4, 5, 16), []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            products.append(str(func))
            return func(*args, **(kwargs or {}))

    for quiet in (torch.no_grad(), torch.inference_mode()):
        with quiet, precision.choose(CPU, "bf16").autocast(), Watched():
            outputs, _ = attention(tokens, tokens, tokens, need_weights=False)
        torch.testing.assert_close(outputs.float(), attention(tokens, tokens, tokens)[0], atol=0.02, rtol=0.02)
    assert "aten.addmm.default" in products
    assert not [name for name in products if "bmm" in name]


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps:0", "cpu:x"])
def test_a_missing_device_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        precision.device_of(name)


def test_auto_takes_cuda_where_there_is_one() -> None:
    assert precision.device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(("wanted", "is_allowed"), [("float32", False), ("bf16", True), ("auto", True)])
def test_float32_is_rounded_to_tf32_beside_half_precision_only(wanted: Any, is_allowed: bool) -> None:
    kinds = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [kind.allow_tf32 for kind in kinds]
    try:
        for kind in kinds:
            kind.allow_tf32 = not is_allowed
        with stand_in():
            precision.choose(torch.device("cuda"), wanted)
        assert [kind.allow_tf32 for kind in kinds] == [is_allowed] * 2
    finally:
        for kind, value in zip(kinds, before, strict=True):
            kind.allow_tf32 = value


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_computes_in_half_precision() -> None:
    found = precision.choose(torch.device("cuda"))
    assert found.dtype in (torch.bfloat16, torch.float16)
    with found.autocast():
        assert (torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")).dtype is found.dtype
