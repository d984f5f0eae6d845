"""Networks of timm: the modules it excludes from tracing, its class tokens, and position embeddings of its ViTs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from inspect import signature
from typing import Any

from torch import Tensor, nn

from spaces.chains.tracing import Opaque
from spaces.errors import WeightsError
from spaces.families._base import Family, Grid, Layout, Positions

_NAMES = ("pos_embed", "pos_embedding", "absolute_pos_embed", "position_embedding")


class Timm(Family):
    """Every network of ``timm.models`` (https://github.com/huggingface/pytorch-image-models)."""

    name = "timm"

    def matches(self, network: nn.Module) -> bool:
        return type(network).__module__.startswith("timm.")

    def opaque(self, network: nn.Module) -> Opaque:
        """Return timm's own list of modules and functions that ``torch.fx`` must not trace into."""
        del network
        layers: Any = sys.modules["timm.layers"]
        return Opaque(tuple(layers.get_notrace_modules()), tuple(layers.get_notrace_functions()))

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return weights that fit ``network``: renamed and resampled by the network's own timm module."""
        convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
        if convert is not None and len(signature(convert).parameters) >= 2:
            try:
                state = {
                    name: value for name, value in convert(dict(state), network).items() if isinstance(value, Tensor)
                }
            except (KeyError, RuntimeError, AttributeError, IndexError, ValueError, AssertionError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise WeightsError(
                    f"the weights are of another network than {type(network).__name__}: {reason}"
                ) from error
        return super().adapt(network, state)

    def positions(self, network: nn.Module) -> tuple[Positions, ...]:
        # Networks that resample their positions at run time must not be resampled from outside as well.
        grid = None if getattr(network, "dynamic_img_size", False) else _grid(network)
        layouts = (
            _layout(key, parameter, grid, _prefix(network))
            for key, parameter in network.named_parameters()
            if key.rpartition(".")[2] in _NAMES and grid is not None
        )
        return tuple(positions for positions in layouts if positions is not None)

    def facts(self, network: nn.Module) -> Mapping[str, object]:
        facts = dict(super().facts(network))
        if getattr(network, "output_fmt", None) == "NHWC":
            facts["channels_last"] = True
        if isinstance(getattr(network, "cls_token", None), Tensor):
            facts["class_token"] = 0
        return facts


def _grid(network: nn.Module) -> Grid | None:
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if isinstance(grid, tuple | list) and len(grid) == 2 else None


def _prefix(network: nn.Module) -> int:
    """Return the number of tokens before the patches that have positions of their own."""
    tokens = getattr(network, "num_prefix_tokens", None)
    if tokens is None:
        tokens = int(isinstance(getattr(network, "cls_token", None), Tensor))
    return 0 if getattr(network, "no_embed_class", False) else int(tokens)


def _layout(key: str, parameter: nn.Parameter, grid: Grid | None, prefix: int) -> Positions | None:
    """Return the layout of the patches in ``parameter``; None if it does not have the network's patches."""
    if grid is None:
        return None
    shape = tuple(parameter.shape)
    layout: Layout
    if parameter.ndim == 3 and shape[1] in (prefix + grid[0] * grid[1], grid[0] * grid[1]):
        return Positions(key, shape[1] - grid[0] * grid[1], "tokens", grid)
    for layout, places in (("map", shape[-2:]), ("map_last", shape[-3:-1])):
        if parameter.ndim == 4 and places == grid:
            return Positions(key, 0, layout, grid)
    return None


family = Timm()
