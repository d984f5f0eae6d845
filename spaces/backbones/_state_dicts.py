"""Reads state dicts from files without running code, unwraps them, and identifies files that hold none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors.torch import load_file
from torch import Tensor

from spaces.errors import WeightsError

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Keys under which training scripts keep the state dict, the usual ones first."""
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""Prefixes that DataParallel, torch.compile and Lightning add to every name."""
_AVERAGED = "n_averaged"
"""What ``torch.optim.swa_utils.AveragedModel`` keeps beside the weights."""
_LOW_RANK = ".lora_"
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_CUT = re.compile(r"unexpected EOF, expected|incomplete metadata|invalid header length")
_FOREIGN = re.compile(r"weights_only|file in archive")  # torch's words on these advise to run what is in the file
_DEEPEST = 3
_NO_WEIGHTS = (  # the first bytes of files that are often mistaken for weights
    (
        re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml)", re.IGNORECASE),
        "a saved web page; download the file itself",
    ),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS; fetch the file with `git lfs pull`"),
    (re.compile(rb"\s*[\[{]"), "JSON; the weights lie in another file"),
    (re.compile(rb"\x89HDF"), "an HDF5 file, as Keras writes it; save a state dict of PyTorch"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array; save a state dict of PyTorch"),
    (re.compile(rb"\x1f\x8b|Rar!|7z\xbc\xaf|BZh"), "an archive; unpack it"),
)


def read(path: Path) -> dict[str, Tensor]:
    """Return the state dict in a file: safetensors, or the output of ``torch.save``, whatever its extension.

    One wrapped in a checkpoint (``{"model_state_dict": ..., "epoch": 3}``) is unwrapped.

    Raises:
        WeightsError: the file cannot be read, is something else, or holds NaN or infinity.
    """
    state = _unwrapped(_loaded(path), path)
    state.pop(_AVERAGED, None)
    while prefix := next((one for one in _PREFIXES if state and all(name.startswith(one) for name in state)), ""):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    if all(_LOW_RANK in name for name in state):
        raise WeightsError(f"{path} holds low-rank updates (LoRA) alone; merge them into their network and save that")
    for name, value in state.items():
        if value.is_quantized or value.is_meta or value.layout != torch.strided or not _is_whole(value):
            raise WeightsError(
                f"cannot read weights from {path}: {name} is quantised, sparse, or has no values of its own"
            )
    check_numbers(state, str(path))
    return state


def _is_whole(value: Tensor) -> bool:
    """Return whether a file holds all of a tensor: an expanded one of a few bytes may claim any size."""
    return value.untyped_storage().nbytes() >= value.nbytes


def check_numbers(state: Mapping[str, Tensor], source: str) -> None:
    """Check that weights are finite: a single NaN makes every output of a network NaN.

    Raises:
        WeightsError: one is NaN, or a weight or bias is infinite.
    """
    for name, value in state.items():
        if not value.is_floating_point():
            continue
        value = value.float() if value.itemsize < 2 else value  # noqa: PLW2901  # no arithmetic is made for 8 bits
        is_learnt = name.endswith(("weight", "bias"))  # a mask among the buffers may well be infinite
        wrong = ~value.isfinite() if is_learnt else value.isnan()
        if wrong.any():
            raise WeightsError(
                f"the weights in {source} hold {int(wrong.sum())} values in {name} that are NaN or infinite: "
                "training diverged; use an earlier checkpoint"
            )


def of_another_kind(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Return the names whose tensor in ``state`` holds whole numbers where ``own`` has fractions, or the reverse.

    Copying would convert them without a word: weights that were quantised become a network of noise.
    """
    return [name for name in own if name in state and state[name].is_floating_point() != own[name].is_floating_point()]


def _loaded(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(512)
            what = next((what for pattern, what in _NO_WEIGHTS if pattern.match(head)), "")
            # Safetensors begin with the length of their JSON header, in eight bytes.
            if head[8:9] == b"{":
                return load_file(path)
            if not what and _is_text(head):
                what = "a text file; name the file with the weights"
            if not what and head.startswith(b"PK\x03\x04") and not is_zipfile(file):
                what = "cut short; fetch it again"
            if not what:
                file.seek(0)
                return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises its own errors for what weights_only forbids
        raise WeightsError(f"cannot read weights from {path}: {line_of(error)}") from error
    raise WeightsError(f"cannot read weights from {path}: it is {what}")


def _is_text(head: bytes) -> bool:
    """Return whether a file begins with text; pickles and archives soon have control characters."""
    return bool(head) and all(byte >= 32 or byte in b"\t\n\r" for byte in head)


def line_of(error: Exception) -> str:
    """Return why a file cannot be read, in one line."""
    match = _GLOBAL.search(str(error))
    if match is not None:
        return (
            f"it holds a whole pickled object ({match[1]}), and reading that would run code from the file; where you "
            "trust it, load it and save torch.save(net.state_dict(), ...)"
        )
    said = (str(error).splitlines() or [f"it is empty or cut short ({type(error).__name__})"])[0]
    if _CUT.search(said):
        return "it is cut short; fetch it again"
    if _FOREIGN.search(said):
        return "it is nothing that safetensors or torch.save wrote, or more than tensors is in it"
    return said


def _unwrapped(data: Any, path: Path) -> dict[str, Tensor]:
    for _ in range(_DEEPEST):
        if _is_state(data):
            return {str(name): value for name, value in data.items()}
        if not isinstance(data, Mapping):
            break
        named = next((data[key] for key in _WRAPPERS if isinstance(data.get(key), Mapping)), None)
        states = [key for key, value in data.items() if _is_state(value)]
        if named is None and not states:  # {"ema": {"module": ..., "updates": 9}}
            holders = (value for value in data.values() if isinstance(value, Mapping))
            named = next((value for value in holders if any(map(_is_state, value.values()))), None)
        if named is None and len(states) > 1:
            names = ", ".join(map(str, states[:4]))
            raise WeightsError(f"{path} holds several state dicts ({names}); save the one that is meant by itself")
        data = named if named is not None else data[states[0]] if states else None
    raise WeightsError(
        f"{path} holds no state dict (names and tensors); save one with torch.save(net.state_dict(), ...)"
    )


def _is_state(data: Any) -> bool:
    return isinstance(data, Mapping) and bool(data) and all(isinstance(value, Tensor) for value in data.values())
