"""A candidate as a plain network for use: its units and its head, with weights and without what only training needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from spaces import backbones
from spaces.backbones._base import NO_WEIGHTS, Pretrained
from spaces.backbones._state_dicts import of_another_kind
from spaces.candidate import Candidate
from spaces.errors import WeightsError
from spaces.networks import build as building
from spaces.networks.space import Space
from spaces.surgery.folding import fold_batch_norms

HEAD = "head."
MIRRORED = "mirrored"
"""Stands among the weights of a network that sees every image and its mirror image."""
_ADDED = ("lora",)
"""Decisions whose weights a checkpoint stores merged into the layers they belong to."""


class InferenceNetwork(nn.Module):
    """Units of a chain, then a head, in eval mode: from the chain's input to the head's output.

    Units after the last one that the head uses are left out.

    Attributes:
        is_mirrored: whether outputs are the mean of those for an image and for its mirror image.
    """

    is_mirrored = False

    def __init__(self, network: building.Network) -> None:
        super().__init__()
        last = max(network.taps, default=len(network.units) - 1)
        self.units = nn.ModuleList(network.units[: last + 1])
        self.head = network.head
        self.taps = network.taps
        self.input_shape = network.chain.input_shape
        self.input_dtype = network.chain.input_dtype
        self.eval()

    def forward(self, inputs: Tensor) -> Any:
        """Return the head's output for ``inputs`` ``(N, *input_shape)``."""
        if not self.is_mirrored:
            return self.outputs(inputs)
        return self.outputs(torch.cat([inputs, inputs.flip(-1)])).unflatten(0, (2, -1)).mean(dim=0)

    def outputs(self, inputs: Tensor) -> Any:
        """Return the head's output for ``inputs`` as they are."""
        return self.head(self.before_head(inputs))

    def before_head(self, inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the head's input for ``inputs``: one tensor, or the outputs of the units it taps."""
        features, tapped = through(self.units, inputs, self.taps, 0)
        return tapped if self.taps else features

    def fold(self) -> int:
        """Fold batch norms into the preceding layers, in place; return how many."""
        return sum(map(fold_batch_norms, (*self.units, self.head)))

    def named_state(self) -> dict[str, Tensor]:
        """Return all weights under the key names of the pretrained network, the head's under ``head.``."""
        return named(self.units, self.head) | (mirror() if self.is_mirrored else {})

    def load_named(self, state: Mapping[str, Tensor]) -> InferenceNetwork:
        """Load the output of ``named_state``, in place; other keys are ignored.

        Raises:
            WeightsError: a key is missing, of another shape or of another kind of number.
        """
        own = self.named_state()
        missing = [name for name in own if name not in state and not name.endswith("num_batches_tracked")]
        shapes = [name for name in own if name in state and state[name].shape != own[name].shape]
        faults = [f"{name} is missing" for name in missing]
        faults += [
            f"{name} has shape {tuple(state[name].shape)} instead of {tuple(own[name].shape)}" for name in shapes
        ]
        if faults:
            raise WeightsError(f"the weights are of another candidate: {', '.join(faults[:3])}")
        if other := of_another_kind(own, state):
            raise WeightsError(
                f"the weights are not what the candidate has: {other[0]} is of {state[other[0]].dtype} instead of "
                f"{own[other[0]].dtype}"
            )
        with torch.no_grad():
            for name, value in own.items():
                if name in state:
                    value.copy_(state[name])
        return self


def mirror() -> dict[str, Tensor]:
    """Return what stands among the weights of a network that ``is_mirrored``."""
    return {MIRRORED: torch.ones((), dtype=torch.uint8)}


def through(
    units: Iterable[nn.Module], inputs: Tensor, taps: Sequence[int], begin: int
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the output of ``units``, the first of which is unit ``begin`` of a network, and those of ``taps``."""
    tapped: list[Tensor] = []
    for index, unit in enumerate(units, begin):
        inputs = unit(inputs)
        if index in taps:
            tapped.append(inputs)
    return inputs, tuple(tapped)


def named(units: Iterable[nn.Module], head: nn.Module) -> dict[str, Tensor]:
    """Return all weights under the key names of the pretrained network, the head's under ``head.``."""
    state = {name: value for unit in units for name, value in unit.state_dict().items()}
    return state | {f"{HEAD}{name}": value for name, value in head.state_dict().items()}


def blank(candidate: Candidate, base_size: tuple[int, int]) -> Pretrained:
    """Return the candidate's backbone with random weights, at the input size of its study.

    Raises:
        BackboneError: it is unknown here.
    """
    return backbones.resolve(candidate.structure.backbone).pretrained(NO_WEIGHTS, base_size)


def outline(candidate: Candidate, base_size: tuple[int, int]) -> Pretrained:
    """Return the same without memory for weights: shapes alone.

    Raises:
        BackboneError: it is unknown here.
    """
    return backbones.resolve(candidate.structure.backbone).outline(base_size)


def rebuild(
    candidate: Candidate,
    pretrained: Pretrained,
    head: building.Head,
    state: Mapping[str, Tensor] | None = None,
    task: str | None = None,
) -> InferenceNetwork:
    """Return the network of ``candidate`` without training it; with the weights ``state`` of its checkpoint.

    Low-rank updates are left out: a checkpoint holds their sum with the weights they belong to.

    Args:
        pretrained: as returned by ``blank``; its units may be reused, and changed.
        head: makes the task's head for the candidate's classes.
        task: name of the task, whose own decisions may have values too.

    Raises:
        CandidateError: the candidate or a decision is unknown here.
        WeightsError: ``state`` is of another candidate.
    """
    structure = candidate.structure
    choices = {name: value for name, value in structure.choices.items() if name not in _ADDED}
    candidate = replace(candidate, structure=replace(structure, choices=choices))
    space = Space(pretrained, {}, task)
    values = space.values(candidate)
    network = building.build(space.apply(candidate), values, head, 0)
    plain = InferenceNetwork(network)
    return plain if state is None else plain.load_named(state)
