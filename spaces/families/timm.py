"""Networks of timm: modules that stay whole, pools with weights, tokens before the patches, position embeddings."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from typing import Any

from torch import Tensor, nn

from spaces.chains.chain import POOL, Chain
from spaces.chains.patches import PREFIX_TOKENS, ROWS_FROM
from spaces.chains.tracing import Opaque
from spaces.errors import WeightsError, first_line
from spaces.families import _listed
from spaces.families._base import Family, Grid, Layout, Positions
from spaces.surgery.edits import mirror, replace_submodule

_OF_TOKENS, _OF_MAPS = ("AttentionPoolLatent", "AttentionPoolPrr"), ("AttentionPool2d", "RotAttentionPool2d")
"""timm's pools that attend; those of maps end in the network's last layer."""
_NAMES = ("pos_embed", "pos_embedding", "absolute_pos_embed", "position_embedding")


class Timm(Family):
    """Every network of ``timm.models`` (https://github.com/huggingface/pytorch-image-models)."""

    name = "timm"

    def matches(self, network: nn.Module) -> bool:
        return type(network).__module__.startswith("timm.")

    def opaque(self, network: nn.Module) -> Opaque:
        """Return timm's own list of modules and functions that ``torch.fx`` must not trace into, and its pools."""
        del network
        layers: Any = sys.modules["timm.layers"]
        return Opaque((*layers.get_notrace_modules(), *_pools()), tuple(layers.get_notrace_functions()))

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        """Return ``network`` as a chain; a pool that ends in the classifier, CLIP's, is parted from it."""
        chain = super().chain(_without_projection(network), input_size)
        last = chain.units[-1].name
        if isinstance(dict(network.named_modules()).get(last), _pools()):
            chain = replace(chain, facts={**chain.facts, POOL: last})
        if chain.classifier is None and last == "head" and isinstance(_projection(network), nn.Linear):
            projection = _listed.unit(network, last, lambda graph, x: graph.call_module("head.proj", (x,)))
            chain = replace(chain, classifier=projection.module)
        return chain

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return weights that fit ``network``: renamed and resampled by the network's own timm module."""
        convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
        if convert is not None and len(signature(convert).parameters) >= 2:
            try:
                state = {
                    name: value for name, value in convert(dict(state), network).items() if isinstance(value, Tensor)
                }
            except (KeyError, RuntimeError, AttributeError, IndexError, ValueError, AssertionError) as error:
                reason = first_line(error)
                raise WeightsError(
                    f"the weights are of another network than {type(network).__name__}: {reason}"
                ) from error
        return super().adapt(network, state)

    def positions(self, network: nn.Module) -> tuple[Positions, ...]:
        # Networks that resample their positions at run time must not be resampled from outside as well.
        grid = None if getattr(network, "dynamic_img_size", False) else _grid(network)
        layouts = (
            _layout(key, parameter, grid, _positioned(network))
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
        if prefix := _prefix_tokens(network):
            facts[PREFIX_TOKENS] = prefix
        if hasattr(network, "unroll"):  # Hiera keeps the tokens of a window together until its last pool
            hiera: Any = network
            facts[ROWS_FROM] = hiera.patch_stride[0] * hiera.q_stride[0] ** hiera.q_pool
        return facts


def _pools() -> tuple[type[nn.Module], ...]:
    """Return timm's pools that attend to a map or to tokens."""
    return tuple(getattr(sys.modules["timm.layers"], name) for name in (*_OF_TOKENS, *_OF_MAPS))


def _projection(network: nn.Module) -> nn.Module | None:
    """Return the last layer of a pool that is the network's head; None if its head is no pool."""
    head = getattr(network, "head", None)
    return getattr(head, "proj", None) if type(head).__name__ in _OF_MAPS else None


def _without_projection(network: nn.Module) -> nn.Module:
    """Return ``network``, or a twin that shares its weights and whose head is the pool alone."""
    if not isinstance(_projection(network), nn.Linear):
        return network
    twin = mirror(network)
    replace_submodule(twin, "head.proj", nn.Identity())
    return twin


def _grid(network: nn.Module) -> Grid | None:
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    return (int(grid[0]), int(grid[1])) if isinstance(grid, tuple | list) and len(grid) == 2 else None


def _prefix_tokens(network: nn.Module) -> int:
    """Return the number of tokens before the patches: class token, registers, distillation token."""
    known = getattr(network, "num_prefix_tokens", None)
    tokens = (getattr(network, name, None) for name in ("cls_token", "dist_token"))
    return int(known) if known is not None else sum(token.shape[1] for token in tokens if isinstance(token, Tensor))


def _positioned(network: nn.Module) -> int:
    """Return the number of tokens before the patches that have positions of their own."""
    return 0 if getattr(network, "no_embed_class", False) else _prefix_tokens(network)


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
