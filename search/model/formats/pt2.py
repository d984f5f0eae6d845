"""A graph of ``torch.export``: runs with torch alone, on any batch size.

``torch.export.load`` unpickles parts of the archive, so a file can run whatever its maker likes.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from search.errors import UserError
from search.model.formats._base import PLAIN, ModelFormat, Rebuild, Signature, refused, torch_snippet
from spaces.errors import first_line


class Pt2(ModelFormat):
    """https://docs.pytorch.org/docs/stable/export.html, saved by ``torch.export.save``."""

    name, file_name, rank = "pt2", "model.pt2", 1
    needs = "torch"

    def write(
        self, network: nn.Module, example: Tensor, path: Path, facts: Mapping[str, str], signature: Signature = PLAIN
    ) -> None:
        with refused(self.name), torch.no_grad():
            program = torch.export.export(network, (example,), dynamic_shapes=signature.shapes())
            torch.export.save(program, path, extra_files=dict(facts))

    def open(self, path: Path, rebuild: Rebuild) -> nn.Module:
        try:
            with warnings.catch_warnings():  # torch 2.11 reads from memory that it only looks at
                warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
                network: nn.Module = torch.export.load(path).module()
        except Exception as error:  # the reader of archives has errors of many kinds
            reason = first_line(error)
            raise UserError(f"cannot read {path}: {reason}; export the model again") from error
        return network

    def snippet(self, facts: Mapping[str, str]) -> str:
        warning = "   # can run code of the file's maker: open only files you trust"
        return torch_snippet(f'torch.export.load("{self.file_name}").module(){warning}', facts)


model_format = Pt2()
