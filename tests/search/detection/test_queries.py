from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    DFineConfig,
    DFineForObjectDetection,
    RTDetrImageProcessor,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

from search.detection.detectors import Detections, DetectorSettings
from search.detection.kinds import KINDS
from search.detection.queries import QueryDetector
from search.detection.targets import BoxRows
from spaces.chains import probe
from spaces.heads import Tap

TAPS = (Tap(1, "a", 8, (24, 8, 12)), Tap(3, "b", 16, (48, 4, 6)), Tap(4, "c", 32, (64, 2, 3)))
LIBRARY = {"rtdetr": (RTDetrV2Config, RTDetrV2ForObjectDetection), "dfine": (DFineConfig, DFineForObjectDetection)}
both = pytest.mark.parametrize("kind", LIBRARY)


def made(kind: str, taps: tuple[Tap, ...] = TAPS, **changes: object) -> QueryDetector:
    torch.manual_seed(0)
    plain = {"classes": 3, "size": (64, 96), "channels": 64, "extra": 0, "queries": 40, "decoder_layers": 2}
    detector = KINDS[kind](taps, DetectorSettings(**{"least_score": 0.001, **plain, **changes}), 0.0)  # type: ignore[arg-type]
    assert isinstance(detector, QueryDetector)
    return detector


def maps(taps: tuple[Tap, ...] = TAPS, seed: int = 1) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(2, *tap.shape, generator=random) for tap in taps)


class TappedMaps(nn.Module):
    """In place of a library's backbone: gives the same maps for every image."""

    def forward(self, pixel_values: Tensor, pixel_mask: Tensor) -> list[tuple[Tensor, None]]:
        return [(one, None) for one in maps()]


def as_the_librarys(detector: QueryDetector) -> Any:
    """Return the library's whole detector, with the weights of ``detector`` and with ``TappedMaps`` for a backbone."""
    _, model = LIBRARY["rtdetr" if type(detector).__name__ == "RTDetr" else "dfine"]
    network = model(detector.model.config)
    network.model.backbone = TappedMaps()
    heads = {name.removeprefix("model.decoder."): value for name, value in detector.model.state_dict().items()}
    own = detector.model.state_dict() | {name: value for name, value in heads.items() if "_embed." in name[:12]}
    network.load_state_dict(own)
    return network


def shaken(detector: QueryDetector) -> QueryDetector:
    """Give every weight a value of its own: new last layers are 0."""
    with torch.no_grad():
        for parameter in detector.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return detector


@both
def test_the_boxes_are_the_librarys_own(kind: str) -> None:
    detector = shaken(made(kind)).eval()
    with torch.no_grad():
        told = detector(maps())
        whole = as_the_librarys(detector).eval()(torch.zeros(2, 3, 64, 96))
    assert isinstance(told, Detections)
    (expected, _) = RTDetrImageProcessor().post_process_object_detection(whole, threshold=0.001, target_sizes=None)
    found = told.images[0]
    assert len(found["scores"]) > 30
    most = len(found["scores"])
    torch.testing.assert_close(found["scores"], expected["scores"][:most])
    torch.testing.assert_close(found["boxes"], expected["boxes"][:most].clamp(0, 1), atol=1e-6, rtol=1e-5)
    assert torch.equal(found["labels"], expected["labels"][:most])


@both
def test_the_losses_and_gradients_are_the_librarys_own(kind: str) -> None:
    rows = BoxRows(
        torch.tensor([[[0.1, 0.2, 0.6, 0.7], [0.5, 0.5, 1.0, 1.0]], [[0.0, 0.0, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0]]]),
        torch.tensor([[1, 2], [0, -1]]),
        torch.zeros(2, 2, dtype=torch.bool),
        torch.zeros(2, 4),
    )
    labels = [
        {"class_labels": torch.tensor([1, 2]), "boxes": torch.tensor([[0.35, 0.45, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5]])},
        {"class_labels": torch.tensor([0]), "boxes": torch.tensor([[0.15, 0.2, 0.3, 0.4]])},
    ]
    detector = shaken(made(kind))
    theirs = as_the_librarys(detector)
    torch.manual_seed(4)  # the noise of denoising
    found = detector.losses(detector(maps()).levels, rows)
    torch.manual_seed(4)
    expected = theirs(torch.zeros(2, 3, 64, 96), labels=labels)
    assert found.keys() == expected.loss_dict.keys()
    torch.testing.assert_close(torch.stack([one.sum() for one in found.values()]).sum(), expected.loss)
    torch.stack(list(found.values())).sum().backward()
    expected.loss.backward()
    others = dict(theirs.named_parameters())
    gradients = {name: one.grad for name, one in detector.model.named_parameters() if one.requires_grad}
    assert all(gradient is not None for gradient in gradients.values())
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[name].grad, atol=1e-5, rtol=1e-4)


@both
def test_no_tensor_has_two_names(kind: str) -> None:
    state = made(kind).state_dict()
    assert len({value.data_ptr() for value in state.values() if value.numel()}) == len(
        [value for value in state.values() if value.numel()]
    )


@both
@pytest.mark.parametrize(
    "taps",
    [
        (Tap(2, "tokens", 16, (17, 32), patches=(4, 4)),),
        (Tap(0, "a", 8, (9, 13, 24), channels_last=True), Tap(1, "b", 16, (4, 6, 48), channels_last=True)),
        (Tap(0, "a", 4, (8, 15, 15)), Tap(1, "b", 8, (16, 8, 8)), Tap(2, "c", 32, (32, 2, 2))),
    ],
)
def test_maps_of_any_sides_are_joined(kind: str, taps: tuple[Tap, ...]) -> None:
    detector = made(kind, taps, size=(64, 64))
    levels = list(detector.levels(maps(taps)).values())
    for finer, coarser in pairwise(levels):
        assert finer.shape[-2:] == (2 * coarser.shape[-2], 2 * coarser.shape[-1])
    assert len(detector.eval()(maps(taps))) == 2


@both
def test_there_are_no_more_queries_than_points(kind: str) -> None:
    assert made(kind, queries=300).model.config.num_queries == 8 * 12 + 4 * 6 + 2 * 3


@both
def test_heads_are_32_channels_wide_at_every_width(kind: str) -> None:
    config = made(kind, channels=96).model.config
    assert (config.d_model, config.decoder_attention_heads, config.encoder_attention_heads) == (96, 3, 3)


@both
def test_what_was_counted_or_predicted_does_not_break_the_next_training(kind: str) -> None:
    """The library keeps positions of an earlier pass: fake ones of counting, or ones without gradients."""
    detector = made(kind)
    assert probe.run_head(detector, [tap.shape for tap in TAPS]) > 0
    with torch.inference_mode():
        deepcopy(detector).eval()(maps())
    detector.train()
    levels = detector(maps()).levels
    rows = BoxRows(torch.tensor([[[0.1, 0.1, 0.6, 0.7]]] * 2), torch.tensor([[1]] * 2), *_plain(2))
    torch.stack(list(detector.losses(levels, rows).values())).sum().backward()


def _plain(images: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(images, 1, dtype=torch.bool), torch.zeros(images, 4)


@both
def test_new_norms_pass_their_input_on(kind: str) -> None:
    norms = [layer for layer in made(kind).modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) > 5
    assert all(bool((norm.weight == 1).all()) and bool((norm.bias == 0).all()) for norm in norms)


def test_the_librarys_new_norms_do_not() -> None:
    stages = RTDetrResNetConfig(depths=[1] * 4, out_indices=[2, 3, 4])
    library = RTDetrV2ForObjectDetection(RTDetrV2Config(backbone_config=stages))
    drawn = [layer for layer in library.model.encoder.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(float(norm.weight.detach().abs().max()) < 0.1 for norm in drawn)  # once this fails, ours need no reset


@both
def test_a_pretrained_detectors_settings_are_shared_at_its_width_alone(kind: str) -> None:
    own = {"encoder_hidden_dim": 64, "decoder_ffn_dim": 32, "encoder_attention_heads": 4}
    assert made(kind, settings=own).model.config.decoder_ffn_dim == 32
    assert made(kind, settings=own, channels=128).model.config.decoder_ffn_dim == 512
    points = {**own, "decoder_n_points": [3, 6, 3]}
    if kind == "dfine":
        assert made(kind, settings=points).model.config.decoder_n_points == [3, 6, 3]
        assert made(kind, TAPS[1:], settings=points).model.config.decoder_n_points == 4
