"""Int8 quantisation: a file that ONNX Runtime computes with integer kernels, and its session.

Static post-training quantisation of our own ONNX file by ONNX Runtime
(https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html), because that runs in integers on every
CPU with nothing to compile; PyTorch's own way, torchao's ``pt2e``, compiles every network for its kernels, and what it
makes needs torch. Batch norms are folded first. Weights become int8 with a scale for each output channel, activations
uint8, their ranges the smallest and largest values that calibration images give.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from search.errors import FinetuneError
from search.model.formats import model_format
from search.model.formats._base import example_of
from spaces.errors import first_line
from spaces.networks.inference import InferenceNetwork

FORMAT = "onnx"
"""What is quantised; its packages are needed."""
_RUNTIME = "onnxruntime"


class NotQuantisableError(Exception):
    """This network cannot be quantised, or the quantised file cannot be run; says why in a line."""


def write(network: InferenceNetwork, batches: Sequence[Tensor], folder: Path) -> Path:
    """Write ``network`` in integers to ``folder`` and return the file; other files are left there too.

    Args:
        network: in eval mode on the CPU; its batch norms are folded in place.
        batches: calibration images ``(N, C, H, W)`` as the network takes them, at least one.

    Raises:
        NotQuantisableError: it cannot be exported, or no weight of it became an integer.
        UserError: ONNX Runtime is not installed.
    """
    exporter = model_format(FORMAT)
    whole, ready, quantised = (folder / name for name in ("float.onnx", "ready.onnx", "int8.onnx"))
    network.fold()
    try:
        exporter.write(network, example_of(batches[0]), whole, {})
    except FinetuneError as error:
        raise NotQuantisableError(str(error)) from error
    with _refused("it cannot be quantised"), _quiet():
        _quantise(whole, ready, quantised, batches)
    if not _integers(quantised):
        raise NotQuantisableError("no layer of it has weights that can be integers")
    return quantised


def _quantise(whole: Path, ready: Path, quantised: Path, batches: Sequence[Tensor]) -> None:
    """Quantise the file ``whole`` into ``quantised``; ``ready`` is it with constants folded and shapes inferred."""
    kit: Any = import_module(f"{_RUNTIME}.quantization")
    prepare: Any = import_module(f"{_RUNTIME}.quantization.shape_inference")
    # Symbolic shapes are for transformers of texts, and need sympy.
    prepare.quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
    name = import_module("onnx").load(ready).graph.input[0].name

    class Reader(kit.CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
        """Gives the images to the runtime, batch by batch."""

        def __init__(self) -> None:
            self._left = iter(batches)

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self._left, None)
            return None if batch is None else {name: batch.contiguous().numpy()}

    kit.quantize_static(
        str(ready),
        str(quantised),
        Reader(),
        quant_format=kit.QuantFormat.QDQ,
        per_channel=True,
        activation_type=kit.QuantType.QUInt8,
        weight_type=kit.QuantType.QInt8,
        calibrate_method=kit.CalibrationMethod.MinMax,
    )


def _integers(path: Path) -> int:
    """Return how many weights of the file are int8."""
    onnx: Any = import_module("onnx")
    tensors = onnx.load(path).graph.initializer
    sizes = (onnx.numpy_helper.to_array(one).size for one in tensors if one.data_type == onnx.TensorProto.INT8)
    return sum(size for size in sizes if size > 1)  # one number is a zero point


class Int8Session:
    """The file as a function: tensors in, tensors out, on as many CPU threads as torch takes."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            NotQuantisableError: the runtime refuses it.
        """
        runtime: Any = import_module(_RUNTIME)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        # Exact sums on processors without VNNI, whose quick instruction saturates: the same answer on every machine.
        options.add_session_config_entry("session.x64quantprecision", "1")
        with _refused("ONNX Runtime does not run it"):
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: Tensor) -> Tensor:
        """Return the outputs for ``images`` ``(N, C, H, W)``.

        Raises:
            NotQuantisableError: the runtime gives up.
        """
        with _refused("ONNX Runtime does not run it"):
            (outputs,) = self._session.run(None, {self._input: images.cpu().contiguous().numpy()})
        return torch.from_numpy(outputs)


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Turn the runtime's exceptions into one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the runtime's own insides
            yield
    except Exception as error:  # it has classes of its own for its errors, and raises all of Python's
        raise NotQuantisableError(f"{what}: {first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep off the screen what the quantiser says by the root logger: advice on single layers, nothing to act on."""
    root, own = logging.getLogger(), logging.getLogger(_RUNTIME)
    handler, level = logging.NullHandler(), own.level

    def is_ours(record: logging.LogRecord) -> bool:
        return _RUNTIME not in record.pathname

    root.addHandler(handler)  # without any the first word would set up one for good
    root.addFilter(is_ours)
    own.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        own.setLevel(level)
        root.removeFilter(is_ours)
        root.removeHandler(handler)
