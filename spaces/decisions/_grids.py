"""Resamples a chain's position embeddings for another grid of patches."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from spaces.chains.chain import Chain, Unit
from spaces.families._base import Positions, resample_positions
from spaces.surgery.edits import mirror


def rescale(chain: Chain, scale: tuple[float, float]) -> Chain:
    """Return ``chain`` with position embeddings for ``scale`` times as many patches along height and width.

    Chains and units without position embeddings are left unchanged.
    """
    moved: list[Positions] = []
    known = chain.facts.get("positions", ())
    for positions in known if isinstance(known, tuple) else ():
        rows, columns = positions.grid
        grid = (max(round(rows * scale[0]), 1), max(round(columns * scale[1]), 1))
        for index, unit in enumerate(chain.units):
            if positions.key in dict(unit.module.named_parameters()):
                chain = chain.with_unit(index, _resampled(unit, positions, grid))
        moved.append(replace(positions, grid=grid))
    return replace(chain, facts={**chain.facts, "positions": tuple(moved)}) if moved else chain


def _resampled(unit: Unit, positions: Positions, grid: tuple[int, int]) -> Unit:
    if grid == positions.grid:
        return unit
    module = mirror(unit.module)
    old = unit.module.get_parameter(positions.key)
    new = resample_positions(old.detach(), positions.prefix, positions.grid, grid, positions.layout)
    parent, _, name = positions.key.rpartition(".")
    setattr(module.get_submodule(parent), name, nn.Parameter(new, requires_grad=old.requires_grad))
    return replace(unit, module=module)
