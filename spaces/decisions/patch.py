"""The patch size of vision transformers and other networks that begin by cutting the image into patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest, multiply_adds, usual_multiply_adds
from spaces.decisions._checks import check_choices, check_range, read_number
from spaces.decisions._grids import rescale
from spaces.decisions._prior import mostly
from spaces.errors import CandidateError
from spaces.surgery import edits as surgery


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Patch sizes that may be tried.

    Attributes:
        sizes: sides of the square patches in pixels; those that do not run at the input size are passed over.
        max_growth: most multiply-adds of the changed chain, in multiples of the pretrained one's at its usual size.
    """

    sizes: tuple[int, ...] = (4, 8, 12, 16, 24, 32)
    max_growth: float = 2.5
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("patch.sizes", self.sizes)
        check_range("patch.sizes", min(self.sizes), None, least=1)
        check_range("patch.max_growth", self.max_growth, None, least=1)


class Patch(Decision[int]):
    """The patch embedding is resampled to another patch size, position embeddings to the resulting grid.

    0 stands for the pretrained size. After FlexiViT (https://arxiv.org/abs/2212.08013).
    """

    name, stage, options = "patch", Stage.RESHAPE, Range

    def choices(self, chain: Chain, within: Range) -> tuple[int, ...] | NotApplicable:
        path = _path(chain)
        if path is None:
            return NotApplicable("the network does not begin by cutting the image into patches")
        own = _conv(chain, path).kernel_size[0]
        most = within.max_growth * usual_multiply_adds(chain)
        running = tuple(
            size
            for size in sorted(within.sizes)
            if size != own and not any(side % size for side in chain.input_size) and self._fits(chain, size, most)
        )
        if not running:
            sizes = ", ".join(str(size) for size in sorted(within.sizes))
            return NotApplicable(f"none of the patch sizes {sizes} runs at this input size within max_growth")
        return (0, *running)

    def _fits(self, chain: Chain, size: int, most: float) -> bool:
        macs = multiply_adds(self.apply(chain, size))
        return macs is not None and macs <= most

    def baseline(self, chain: Chain) -> int:
        return 0

    def extremes(self, choices: tuple[int, ...], chain: Chain) -> tuple[int, int]:
        ordered = sorted(choices, key=lambda size: multiply_adds(self.apply(chain, size)) or 0)
        return ordered[0], ordered[-1]

    def sample(self, suggest: Suggest, choices: tuple[int, ...]) -> int:
        return int(suggest.choice(self.name, choices, prior=mostly(0, 0.85)))

    def params(self, value: int, choices: tuple[int, ...]) -> Mapping[str, Scalar] | None:
        return {self.name: value} if value in choices else None

    def touches(self, choices: tuple[int, ...], chain: Chain) -> tuple[str, ...]:
        return (chain.units[0].name,)

    def variants(self, choices: tuple[int, ...], chain: Chain) -> tuple[int, ...]:
        return tuple(size for size in choices if size)

    def keeps_function(self, value: int, chain: Chain) -> bool:
        return value == 0

    def apply(self, chain: Chain, value: int) -> Chain:
        if not value:
            return chain
        path = _path(chain)
        if path is None:
            raise CandidateError("candidate: patch: this backbone does not begin with a patch embedding")
        first = chain.units[0]
        conv = _conv(chain, path)
        module = surgery.mirror(first.module)
        surgery.replace_submodule(module, path, surgery.resize_patches(conv, value))
        edits = (*first.edits, f"patches of {value}")
        factor = conv.kernel_size[0] / value
        return rescale(chain.with_unit(0, replace(first, module=module, edits=edits)), (factor, factor))

    def words(self, value: int, chain: Chain) -> str:
        return f"patches of {value}x{value}" if value else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        return int(read_number(self.name, data, whole=True))


def _path(chain: Chain) -> str | None:
    if len(chain.input_shape) != 3:
        return None
    return surgery.patch_embedding(chain.units[0].module)


def _conv(chain: Chain, path: str) -> nn.Conv2d:
    conv = chain.units[0].module.get_submodule(path)
    if not isinstance(conv, nn.Conv2d):
        raise CandidateError(f"candidate: patch: {path} is a {type(conv).__name__}, expected a Conv2d")
    return conv


decision = Patch()
