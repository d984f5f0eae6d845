"""ONNX, for every runtime that is not PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search.errors import UserError
from search.model.formats._base import PLAIN, ModelFormat, Rebuild, Signature, refused

_INPUT = "inputs"
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_LARGEST = 2**31 - 2**24
"""Bytes: a single ONNX file cannot hold more; weights go beside it then."""


class Onnx(ModelFormat):
    """Exporter on ``torch.export`` (https://docs.pytorch.org/docs/stable/onnx_export.html), run by ONNX Runtime."""

    name, file_name, rank = "onnx", "model.onnx", 3
    needs = "onnxruntime"

    def requirement(self) -> str:
        return "" if all(find_spec(package) for package in _PACKAGES) else "pip install ftsearch[onnx]"

    def write(
        self, network: nn.Module, example: Tensor, path: Path, facts: Mapping[str, str], signature: Signature = PLAIN
    ) -> None:
        size = sum(value.nbytes for value in network.state_dict().values())
        with refused(self.name), _quiet(), torch.no_grad():
            program: Any = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=[_INPUT],
                output_names=list(signature.outputs),
                dynamic_shapes=signature.shapes(),
                verbose=False,
            )
            program.model.metadata_props.update(facts)
            program.save(path, external_data=size > _LARGEST)

    def open(self, path: Path, rebuild: Rebuild) -> nn.Module:
        if needed := self.requirement():
            raise UserError(f"{path} needs ONNX Runtime; install it with `{needed}`")
        return Session(path)

    def snippet(self, facts: Mapping[str, str]) -> str:
        outputs, kind = facts.get("outputs", "outputs"), facts.get("dtype", "float32")
        return (
            "import numpy as np\nimport onnxruntime\n\n"
            f'session = onnxruntime.InferenceSession("{self.file_name}")\n'
            f"inputs = np.zeros((1, {facts['shape']}), dtype=np.{kind})   # {facts.get('free', 'any batch size')}\n"
            f'{outputs if "," in outputs else f"({outputs},)"} = session.run(None, {{"{_INPUT}": inputs}})\n'
        )


class Session(nn.Module):
    """An ONNX file as a module: tensors in, tensors out, computed by ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            UserError: it cannot be read.
        """
        super().__init__()
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime has a class of its own for each of its error codes
            raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}; export the model again") from error

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the output for ``inputs``; several as a tuple."""
        found = self._session.run(None, {_INPUT: inputs.detach().cpu().contiguous().numpy()})
        outputs = tuple(torch.from_numpy(output) for output in found)
        return outputs[0] if len(outputs) == 1 else outputs


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's steps off the screen; what goes wrong comes as an error."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


model_format = Onnx()
