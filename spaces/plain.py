"""A candidate as a plain network for use: its units and its head, weights in place, nothing only training needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from spaces import backbones
from spaces import build as building
from spaces.backbones._base import NO_WEIGHTS
from spaces.candidate import Candidate
from spaces.chain import Chain
from spaces.errors import WeightsError
from spaces.folding import fold_batch_norms
from spaces.space import Space

_HEAD = "head."
_ADDED = ("lora",)
"""Decisions whose weights a checkpoint holds added to those they belong to."""


class Plain(nn.Module):
    """Units of a chain, then a head, in eval mode. Takes what the chain takes and gives the head's output."""

    def __init__(self, chain: Chain, head: nn.Module) -> None:
        super().__init__()
        self.units = nn.ModuleList(unit.module for unit in chain)
        self.head = head
        self.input_shape = chain.input_shape
        self.input_dtype = chain.input_dtype
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the head's output for ``inputs`` ``(N, *input_shape)``."""
        for unit in self.units:
            inputs = unit(inputs)
        outputs: Tensor = self.head(inputs)
        return outputs

    def fold(self) -> int:
        """Fold batch norms into the layers in front of them, in place; return how many."""
        return sum(fold_batch_norms(part) for part in (*self.units, self.head))

    def named_state(self) -> dict[str, Tensor]:
        """Return all weights under the key names of the pretrained network, the head's under ``head.``."""
        found = {name: value for unit in self.units for name, value in unit.state_dict().items()}
        return found | {f"{_HEAD}{name}": value for name, value in self.head.state_dict().items()}

    def load_named(self, state: Mapping[str, Tensor]) -> Plain:
        """Put in what ``named_state`` gave, in place; keys beside it are left out.

        Raises:
            WeightsError: a key is missing, or of another shape.
        """
        own = self.named_state()
        missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
        shapes = [name for name in own if name in state and state[name].shape != own[name].shape]
        if missing or shapes:
            few = [f"{name} is missing" for name in missing[:3]]
            few += [
                f"{name} has shape {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
                for name in shapes[: 3 - len(few)]
            ]
            raise WeightsError(f"the weights are of another candidate: {', '.join(few)}")
        with torch.no_grad():
            for name, value in own.items():
                if name in state:
                    value.copy_(state[name])
        return self


def rebuild(
    candidate: Candidate, head: building.Head, base_size: tuple[int, int], state: Mapping[str, Tensor] | None = None
) -> Plain:
    """Return the network of ``candidate`` without training it; with the weights ``state`` of its checkpoint.

    Low-rank updates are left out: a checkpoint holds their sum with the weights they belong to.

    Args:
        head: makes the task's head for the candidate's classes.
        base_size: the input size of its study, from which its decisions start.

    Raises:
        BackboneError, CandidateError: the candidate's backbone or a decision is not known here.
        WeightsError: ``state`` is of another candidate.
    """
    structure = candidate.structure
    choices = {name: value for name, value in structure.choices.items() if name not in _ADDED}
    candidate = replace(candidate, structure=replace(structure, choices=choices))
    pretrained = backbones.resolve(structure.backbone).pretrained(NO_WEIGHTS, base_size)
    space = Space(pretrained, {})
    network = building.build(space.apply(candidate), space.values(candidate), head, 0)
    plain = Plain(network.chain, network.head)
    return plain if state is None else plain.load_named(state)
