"""Averages of weights over training steps, and of predictions over views of an image."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_HORIZON = 0.1
_LEAST = 10
_SIDE = 7 / 8


def moving_average(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> AveragedModel:
    """Return an exponential moving average of the weights and statistics of ``network``, kept up by ``optimizer``.

    Its horizon is a tenth of ``steps``, at least ten: with the usual 0.9999, a few hundred steps of fine-tuning would
    hardly leave their start. Polyak averaging (https://doi.org/10.1137/0330046), in the form of
    https://arxiv.org/abs/1512.00567.
    """
    decay = 1 - 1 / max(_HORIZON * steps, _LEAST)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)  # type: ignore[no-untyped-call]
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(network))
    return average


class ViewsAveraged(nn.Module):
    """A classifier that averages its predictions over views of an image: the whole, four corners, and their mirrors.

    Corners cover 7/8 of each side. The 10-crop evaluation of https://papers.nips.cc/paper/4824, with the whole image
    in place of the central crop.
    """

    def __init__(self, network: nn.Module, *, flip: bool) -> None:
        super().__init__()
        self.network = network
        self.flip = flip

    def forward(self, images: Tensor) -> Tensor:
        """Return logarithms of the mean class probabilities ``(N, classes)`` for ``images`` ``(N, 3, H, W)``."""
        views = [self.network(view).float().softmax(dim=1) for view in self._views(images)]
        return torch.stack(views).mean(dim=0).clamp(min=1e-12).log()

    def _views(self, images: Tensor) -> Iterator[Tensor]:
        height, width = images.shape[-2:]
        inner = max(round(height * _SIDE), 1), max(round(width * _SIDE), 1)
        for top, left in ((0, 0), (0, width - inner[1]), (height - inner[0], 0), (height - inner[0], width - inner[1])):
            corner = images[..., top : top + inner[0], left : left + inner[1]]
            yield from self._mirrored(
                F.interpolate(corner, (height, width), mode="bilinear", align_corners=False, antialias=True)
            )
        yield from self._mirrored(images)

    def _mirrored(self, view: Tensor) -> Iterator[Tensor]:
        yield view
        if self.flip:
            yield view.flip(-1)
