"""Out of memory: half the batch, accumulated to the same step, before a trial is given up."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from search.errors import TrialError
from spaces.heads import Maps

logger = logging.getLogger(__name__)


_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "_ALLOC_FAILED", "bad alloc")
_DEAD = ("CUDA error", "device-side assert", "illegal memory access", "unspecified launch failure", "NCCL error")


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
        while not self._fits(samples, step):
            free()  # only now: inside of the except clause the traceback still held the tensors of the failed try

    def _fits(self, samples: int, step: Callable[[Iterator[slice]], None]) -> bool:
        try:
            step(self._slices(samples))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            self._halve(samples, error)
            return False
        return True

    def _slices(self, samples: int) -> Iterator[slice]:
        size = min(self.limit or samples, samples)
        return (slice(start, min(start + size, samples)) for start in range(0, samples, size))

    def _halve(self, samples: int, error: BaseException) -> None:
        size = min(self.limit or samples, samples)
        if size == 1:
            message = "out of memory with a single sample; choose a smaller input size or a larger device"
            raise TrialError(message, "memory") from error
        self.limit = size // 2
        logger.warning("out of memory with %d samples a piece: going on with %d, accumulated", size, self.limit)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` means out of memory, in the wording of CUDA, cuDNN, cuBLAS or the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign.lower() in str(error).lower() for sign in _SIGNS)


def is_device_lost(error: BaseException) -> bool:
    """Return whether the process can no longer use its device: CUDA keeps such an error until the process ends."""
    text = str(error)
    return isinstance(error, RuntimeError) and not is_out_of_memory(error) and any(sign in text for sign in _DEAD)


def kind_of(device: torch.device) -> str:
    """Return the kind of device under which batch sizes that fitted are stored: the GPU's model, or ``cpu``."""
    return torch.cuda.get_device_name(device)[:64] if device.type == "cuda" else device.type


def free() -> None:
    """Release unused memory to the machine and to other processes on the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def share(piece: Tensor | Maps, samples: int) -> float:
    """Return the weight of ``piece`` in the mean over a step of ``samples``."""
    return piece.shape[0] / samples
