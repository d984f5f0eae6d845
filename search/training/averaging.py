"""Averages of weights over training steps, and of predictions over views of an image."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

_HORIZON = 0.1
_LEAST = 10
_SIDE = 7 / 8


def moving_average(network: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> AveragedModel:
    """Return an exponential moving average of the weights and statistics of ``network``, kept up by ``optimizer``.

    Its horizon is a tenth of ``steps``, at least ten: with the usual 0.9999, a few hundred steps of fine-tuning would
    hardly leave their start. Polyak averaging (https://doi.org/10.1137/0330046), in the form of
    https://arxiv.org/abs/1512.00567.
    """
    average = MovingAverage(network, 1 / max(_HORIZON * steps, _LEAST))
    optimizer.register_step_post_hook(lambda *_: average.update_parameters(network))
    return average


class MovingAverage(AveragedModel):
    """An exponential moving average of only what changes: parameters that learn, and batch-norm statistics.

    PyTorch's own walks through all modules of both networks, which takes a tenth of a step where few units learn.

    Args:
        share: of the current weights in the average, at every step but the first, which is copied.
    """

    def __init__(self, network: nn.Module, share: float) -> None:
        super().__init__(network, use_buffers=True)
        self._share = share
        self._parts: tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]] | None = None

    def update_parameters(self, model: nn.Module) -> None:
        """Take the weights of ``model``, the network that is averaged, into the average."""
        if self._parts is None:
            pairs = [
                *((mean, own) for mean, own in zip(self.module.parameters(), model.parameters(), strict=True)
                  if own.requires_grad),
                *zip(self.module.buffers(), model.buffers(), strict=True),
            ]  # fmt: skip
            real = [(mean.detach(), own.detach()) for mean, own in pairs if own.is_floating_point()]
            whole = [(mean, own) for mean, own in pairs if not own.is_floating_point()]
            self._parts = ([mean for mean, _ in real], [own for _, own in real],
                           [mean for mean, _ in whole], [own for _, own in whole])  # fmt: skip
        means, owns, counts, own_counts = self._parts
        with torch.no_grad():
            if self.n_averaged == 0:
                torch._foreach_copy_(means, owns)
            else:
                torch._foreach_lerp_(means, owns, self._share)
            if counts:
                torch._foreach_copy_(counts, own_counts)
        self.n_averaged += 1


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
