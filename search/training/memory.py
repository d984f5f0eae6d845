"""Out of memory: half the batch, accumulated to the same step, before a trial is given up."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from search.errors import TrialError

logger = logging.getLogger(__name__)


class MicroBatches:
    """Splits steps into pieces that fit, and remembers what fitted.

    The gradient of a step is the mean over all its samples however many pieces it is cut into; only the
    statistics that batch norm takes from a piece see fewer samples.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        """Most samples a piece may have; None while nothing has run out of memory."""

    def run(self, samples: int, step: Callable[[Iterator[slice]], None]) -> None:
        """Call ``step`` with the slices of a batch of ``samples``; again with halves when memory runs out.

        Raises:
            TrialError: a single sample does not fit.
        """
        while True:
            try:
                return step(self._slices(samples))
            except torch.OutOfMemoryError as error:
                self._halve(samples, error)

    def _slices(self, samples: int) -> Iterator[slice]:
        size = min(self.limit or samples, samples)
        return (slice(start, min(start + size, samples)) for start in range(0, samples, size))

    def _halve(self, samples: int, error: BaseException) -> None:
        size = min(self.limit or samples, samples)
        if size == 1:
            message = "out of memory with a single sample; choose a smaller input size or a larger device"
            raise TrialError(message, "memory") from error
        self.limit = size // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning("out of memory with %d samples a piece: going on with %d, accumulated", size, self.limit)


def share(piece: Tensor, samples: int) -> float:
    """Return the weight of ``piece`` in the mean over a step of ``samples``."""
    return piece.shape[0] / samples
