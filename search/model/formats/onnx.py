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
from spaces.errors import first_line

_INPUT = "inputs"
_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_LARGEST = 2**31 - 2**24
"""Bytes: a single ONNX file cannot hold more; weights go beside it then."""


class Onnx(ModelFormat):
    """Exporter on ``torch.export`` (https://docs.pytorch.org/docs/stable/onnx_export.html), run by ONNX Runtime."""

    name, file_name, rank = "onnx", "model.onnx", 2
    runs_code = False
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
        return OnnxModule(path)

    def snippet(self, facts: Mapping[str, str]) -> str:
        outputs, kind = facts.get("outputs", "outputs"), facts.get("dtype", "float32")
        return (
            "import numpy as np\nimport onnxruntime\n\n"
            f'session = onnxruntime.InferenceSession("{self.file_name}")\n'
            f"inputs = np.zeros((1, {facts['shape']}), dtype=np.{kind})   # {facts.get('free', 'any batch size')}\n"
            f'{outputs if "," in outputs else f"({outputs},)"} = session.run(None, {{"{_INPUT}": inputs}})\n'
        )


class OnnxModule(nn.Module):
    """An ONNX file as a module: tensors in, tensors out, computed by ONNX Runtime on the CPU."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            UserError: it cannot be read, or takes weights from outside of its folder.
        """
        super().__init__()
        self._path = path
        _check_external_data(path)
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime has a class of its own for each of its error codes
            raise UserError(f"cannot read {path}: {first_line(error)}; export the model again") from error

    def forward(self, inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the output for ``inputs``; several as a tuple.

        Raises:
            UserError: the graph does not take them, or gives up.
        """
        try:
            arrays = self._session.run(None, {_INPUT: inputs.detach().cpu().contiguous().numpy()})
        except Exception as error:  # as on opening
            raise UserError(f"cannot run {self._path}: {first_line(error)}") from error
        outputs = tuple(torch.from_numpy(output) for output in arrays)
        return outputs[0] if len(outputs) == 1 else outputs


def _check_external_data(path: Path) -> None:
    """Check that the weights which the file at ``path`` keeps in other files lie in its own folder.

    ONNX Runtime checks this too, but only in its newer versions.

    Raises:
        UserError: they do not, or the file cannot be read.
    """
    onnx: Any = import_module("onnx")
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's, the reader's and the system's own kinds
        reason = first_line(error)
        raise UserError(f"cannot read {path}: {reason}; export the model again") from error
    folder = path.parent.resolve()
    for tensor in _messages(model, onnx.TensorProto):
        for location in (entry.value for entry in tensor.external_data if entry.key == "location"):
            target = Path(location)
            if target.is_absolute() or not (folder / target).resolve().is_relative_to(folder):
                raise UserError(
                    f"{path} takes weights from {location!r}, outside of its folder, which is refused; "
                    "export the model again"
                )


def _messages(message: Any, kind: type) -> Iterator[Any]:
    """Yield all messages of ``kind`` anywhere in a protobuf ``message``: in graphs, nodes, functions, attributes."""
    if isinstance(message, kind):
        yield message
        return
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in (value,) if hasattr(value, "ListFields") else value:
                yield from _messages(inner, kind)


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
