from __future__ import annotations

import logging
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from search.errors import RunError
from search.model import int8
from search.model.formats.onnx import Onnx
from spaces import backbones
from spaces.heads import vector_head
from spaces.networks.inference import InferenceNetwork, rebuild
from spaces.networks.space import Space

SIZE = (64, 64)


def network(name: str) -> InferenceNetwork:
    space = Space(backbones.resolve(name).pretrained("none", SIZE, seed=3), {})
    return rebuild(space.baseline(), space.pretrained, lambda features, choice, _: vector_head(features, 3, choice))


def batches(count: int = 2) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(5)
    return [torch.randn(8, 3, *SIZE, generator=random) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "convolutions"), [("resnet18", 20), pytest.param("mobilenet_v2", 52, marks=pytest.mark.slow)]
)
def test_the_file_is_run_by_integer_kernels_and_stays_close_to_the_network(
    name: str, convolutions: int, tmp_path: Path
) -> None:
    plain, images = network(name), batches()
    with torch.inference_mode():
        expected = plain(images[0])
    path = int8.write(plain, images, tmp_path)
    graph = onnx.load(path).graph
    kinds = {node.op_type for node in graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    integers = [one for one in graph.initializer if one.data_type == onnx.TensorProto.INT8]
    weights = sum(part.numel() for name, part in plain.state_dict().items() if part.ndim > 1)
    assert sum(onnx.numpy_helper.to_array(one).size for one in integers) >= 0.95 * weights
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "run.onnx")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    run = [node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node]
    assert run.count("QLinearConv") == convolutions
    assert "Conv" not in run
    found = int8.Int8Session(path)(images[0])
    apart = float((found - expected).abs().max() / expected.abs().max())
    assert 0 < apart < 0.25
    assert path.stat().st_size < 0.4 * (tmp_path / "float.onnx").stat().st_size


class Odd(InferenceNetwork):
    def __init__(self, layer: nn.Module) -> None:
        nn.Module.__init__(self)
        self.units, self.head, self.taps = nn.ModuleList(), layer, ()
        self.eval()


def test_a_network_without_weights_says_why_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(int8.NotQuantisableError, match="no layer of it has weights that can be integers"):
        int8.write(Odd(nn.Flatten()), [torch.zeros(2, 3, 4, 4)], tmp_path)


def test_what_cannot_be_exported_or_quantised_says_why_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RunError("this network cannot be written as onnx: it refuses")

    def fail(*_: object) -> None:
        raise AttributeError("no such\nnode")

    monkeypatch.setattr(int8, "_quantise", fail)
    with pytest.raises(int8.NotQuantisableError, match=r"^it cannot be quantised: no such$"):
        int8.write(Odd(nn.Flatten()), [torch.zeros(2, 3, 4, 4)], tmp_path)
    monkeypatch.setattr(Onnx, "write", refuse)
    with pytest.raises(int8.NotQuantisableError, match="cannot be written as onnx: it refuses"):
        int8.write(Odd(nn.Flatten()), [torch.zeros(2, 3, 4, 4)], tmp_path)


def test_a_file_that_does_not_run_says_why_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "int8.onnx").write_bytes(b"not a model")
    with pytest.raises(int8.NotQuantisableError, match="ONNX Runtime does not run it: ") as refused:
        int8.Int8Session(tmp_path / "int8.onnx")
    assert "\n" not in str(refused.value)


def test_one_calibration_image_is_enough_for_any_number_of_images_and_nothing_is_printed_or_left_in_logging(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    root = logging.getLogger()
    before = (list(root.handlers), list(root.filters))
    (images,) = batches(1)
    session = int8.Int8Session(int8.write(network("squeezenet1_1"), [images[:1]], tmp_path))
    whole = session(images)
    assert whole.shape == (8, 3)
    assert torch.equal(torch.cat([session(images[:1]), session(images[1:])]), whole)
    predicted = capfd.readouterr()
    assert (predicted.out, predicted.err) == ("", "")
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert (list(root.handlers), list(root.filters)) == before
