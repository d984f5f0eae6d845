"""TorchScript by tracing, for programs that load nothing else (C++, mobile). PyTorch itself points to ``pt2`` now."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from search.errors import UserError
from search.model.formats._base import PLAIN, ModelFormat, Rebuild, Signature, refused, torch_snippet


class TorchScript(ModelFormat):
    """https://docs.pytorch.org/docs/stable/jit.html."""

    name, file_name, rank = "torchscript", "model.torchscript", 2
    moves = True
    needs = "torch"

    def write(
        self, network: nn.Module, example: Tensor, path: Path, facts: Mapping[str, str], signature: Signature = PLAIN
    ) -> None:
        with refused(self.name), torch.no_grad():
            traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
            torch.jit.save(traced, path, _extra_files={name: text.encode() for name, text in facts.items()})

    def open(self, path: Path, rebuild: Rebuild) -> nn.Module:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it is deprecated: the file was asked for by name
                network: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}; export the model again") from error
        return network.eval()

    def snippet(self, facts: Mapping[str, str]) -> str:
        return torch_snippet(f'torch.jit.load("{self.file_name}")', facts)


model_format = TorchScript()
