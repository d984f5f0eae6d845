"""What every family is: the little that the generic cut cannot know of some networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from torch import nn


class Family(ABC):
    """Networks of one kind. A file of this room ends with ``family = ...()``.

    Class attributes:
        name: the file's name.
    """

    name: ClassVar[str]

    @abstractmethod
    def matches(self, network: nn.Module) -> bool:
        """Return whether ``network`` is of this kind."""

    def resize(self, network: nn.Module, input_size: tuple[int, int]) -> None:
        """Make ``network`` accept inputs of ``input_size`` (height, width), in place.

        Raises:
            ProbeError: the size cannot work for this kind; says which do.
        """
        del network, input_size  # most networks take any size as they are

    def facts(self, network: nn.Module) -> Mapping[str, object]:
        """Return what decisions should know: ``channels_last`` (features are ``(N, H, W, C)``),
        ``tokens`` (index of the class token, or None)."""
        return {}
