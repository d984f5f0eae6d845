"""Several trainings of one candidate as one network: frozen units once, what each training has changed side by side.

The outputs are averaged. Trainings that differ in nothing but the order of their samples make different mistakes
(https://arxiv.org/abs/1612.01474), and what they share, the frozen units, is most of what they compute.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from spaces.chains import probe, tracing
from spaces.errors import WeightsError
from spaces.networks.build import Network, head_macs
from spaces.networks.inference import HEAD, MIRRORED, InferenceNetwork, named, through
from spaces.surgery import low_rank
from spaces.surgery.folding import fold_batch_norms

MOST = 16
"""Most branches that a file may have: a stranger's file must not make this machine build thousands."""
MOST_FLOPS = 2.0
"""How many times the floating-point operations of one network all branches together may take."""
_NAME = re.compile(r"branches\.(\d+)\.(.+)", re.DOTALL)


def count_for(network: Network, most: int) -> int:
    """Return how many branches ``network`` may have, ``most`` at most, for ``MOST_FLOPS`` times its operations.

    One if nothing is frozen: they would share nothing.
    """
    learnt, total = _macs(network)
    if not network.prefix_units:
        return 1
    return max(min(most, MOST, int((MOST_FLOPS - 1) * total / max(learnt, 1)) + 1), 1)


def flops(network: Network, count: int) -> int:
    """Return the floating-point operations of one forward pass of ``network`` with ``count`` branches."""
    learnt, total = _macs(network)
    return 2 * (total + (count - 1) * learnt)


def _macs(network: Network) -> tuple[int, int]:
    """Return the multiply-adds behind the frozen units, and of the whole ``network``, for one sample."""
    macs = [facts.macs for facts in probe.describe(network.chain)]
    head = head_macs(network.head, network.chain)
    return sum(macs[network.prefix_units :]) + head, sum(macs) + head


def merged(network: Network, trainings: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the weights of all ``trainings`` of ``network`` as those of one network, for a checkpoint.

    The first has the names of the pretrained network; what is learnt in another, and differs, follows ``branches.N.``.
    """
    states: list[dict[str, Tensor]] = []
    for weights in trainings:
        network.load_state_dict(weights)
        states.append({name: value.detach().cpu().clone() for name, value in network.original_state().items()})
    learnt = [name for module in network.units[network.prefix_units :] for name in low_rank.merged_state(module)]
    learnt += [f"{HEAD}{name}" for name in network.head.state_dict()]
    others = {f"branches.{number}.{name}": state[name] for number, state in enumerate(states[1:], 1) for name in learnt}
    return states[0] | others


def _outputs(
    units: Iterable[nn.Module],
    head: nn.Module,
    taps: tuple[int, ...],
    begin: int,
    features: Tensor,
    tapped: tuple[Tensor, ...],
) -> Tensor:
    """Return the output of ``head`` behind ``units``, from unit ``begin`` on, for what the units before them gave."""
    features, own = through(units, features, taps, begin)
    outputs: Tensor = head((*tapped, *own) if taps else features)
    return outputs


class Branch(nn.Module):
    """Units and head of one training, behind the shared ones."""

    def __init__(self, units: Iterable[nn.Module], head: nn.Module, taps: tuple[int, ...], begin: int) -> None:
        """Join ``units``, the first of which is the network's unit ``begin``, and a head on those of ``taps``."""
        super().__init__()
        self.units = nn.ModuleList(units)
        self.head = head
        self.taps = taps
        self.begin = begin

    def forward(self, features: Tensor, tapped: tuple[Tensor, ...]) -> Tensor:
        """Return the head's output for the output of the shared units, and those of these that the head takes."""
        return _outputs(self.units, self.head, self.taps, self.begin, features, tapped)

    def named_state(self) -> dict[str, Tensor]:
        """Return the weights as ``InferenceNetwork.named_state`` names them."""
        return named(self.units, self.head)


class BranchedNetwork(InferenceNetwork):
    """A network and copies of its last units and its head, which hold other weights; the outputs are averaged."""

    def __init__(self, first: InferenceNetwork, shared: int, count: int) -> None:
        """Put ``count`` branches, the first of them its own, behind the first ``shared`` units of ``first``."""
        nn.Module.__init__(self)
        self.units, self.head, self.taps = first.units, first.head, first.taps
        self.input_shape, self.input_dtype = first.input_shape, first.input_dtype
        self.is_mirrored = first.is_mirrored
        self.shared = shared
        self.others = nn.ModuleList(self._copied() for _ in range(count - 1))
        self.eval()

    def _copied(self) -> Branch:
        memo: dict[int, object] = {}
        units = [tracing.copied(unit, memo) for unit in self.units[self.shared :]]
        return Branch(units, tracing.copied(self.head, memo), self.taps, self.shared)

    def outputs(self, inputs: Tensor) -> Tensor:
        """Return the mean of the branches' outputs for ``inputs`` ``(N, *input_shape)``."""
        carried, tapped = through(self.units[: self.shared], inputs, self.taps, 0)
        first = _outputs(self.units[self.shared :], self.head, self.taps, self.shared, carried, tapped)
        return torch.stack([first, *(other(carried, tapped) for other in self.others)]).mean(dim=0)

    def fold(self) -> int:
        """Fold batch norms into the preceding layers, in place; return how many."""
        return super().fold() + sum(fold_batch_norms(part) for one in self._others() for part in (*one.units, one.head))

    def named_state(self) -> dict[str, Tensor]:
        """Return all weights under the key names of the pretrained network, those of further branches as ``merged``."""
        state = super().named_state()
        for number, branch in enumerate(self._others(), 1):
            state |= {f"branches.{number}.{name}": value for name, value in branch.named_state().items()}
        return state

    def _others(self) -> Iterable[Branch]:
        return cast("Iterable[Branch]", self.others)


def around(network: InferenceNetwork, state: Mapping[str, Tensor]) -> InferenceNetwork:
    """Return ``network`` as its weights, ``state``, want it: mirrored or not, with as many branches as they have.

    Raises:
        WeightsError: they name more branches than there can be.
    """
    network.is_mirrored = MIRRORED in state
    own = network.named_state()
    found = [match for name in state if name not in own and (match := _NAME.fullmatch(name))]
    if not found:
        return network
    last = max((match[1] for match in found), key=lambda digits: (len(digits), digits))
    if len(last) > 2 or int(last) >= MOST:
        raise WeightsError(f"the weights have a branch {last[:20]}; a network has {MOST} at most, from 0")
    learnt = {match[2] for match in found}
    begins = (index for index, unit in enumerate(network.units) if learnt & unit.state_dict().keys())
    return BranchedNetwork(network, next(begins, len(network.units)), int(last) + 1)
