"""What a stranger's model folder can do when it is opened: nothing but predict."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from search.api import load_model
from search.cli import main
from search.errors import UserError
from search.model import folder as model_folder
from search.model.folder import ModelFacts, TextPreprocessing
from search.model.formats import model_formats
from search.model.formats.onnx import OnnxModule
from search.model.predict import predict, task_of
from search.spec import candidates
from spaces.backbones import resolve
from spaces.errors import WeightsError
from spaces.networks.inference import blank, rebuild
from spaces.networks.space import Space


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.place),)


class Network(torch.nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))[:, :2]


def sealed(folder: Path, facts: ModelFacts, candidate: str = "{}") -> Path:
    """Finish the folder of a model as its maker would: with checksums that are right."""
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(facts.to_json())
    (folder / "candidate.json").write_text(candidate)
    model_folder.seal(folder)
    return folder


def hostile_pt2(path: Path, marker: Path) -> None:
    """Write a graph whose example inputs are a pickle that makes the folder ``marker``."""
    whole, evil = io.BytesIO(), io.BytesIO()
    torch.export.save(torch.export.export(Network(), (torch.zeros(1, 3, 4, 4),)), whole)
    torch.save(Evil(marker), evil)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w") as changed:
        for name in source.namelist():
            changed.writestr(name, evil.getvalue() if "sample_inputs" in name else source.read(name))


def onnx_with(tensor_at: str, folder: Path, place: str = "initializer") -> Path:
    """Write an ONNX file that takes four numbers from ``tensor_at``, and adds them to its input."""
    onnx: Any = pytest.importorskip("onnx")
    helper = onnx.helper
    weights = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[4], data_location=1)
    for key, value in (("location", tensor_at), ("length", "16")):
        weights.external_data.add(key=key, value=value)
    nodes = [helper.make_node("Add", ["inputs", "w"], ["outputs"])]
    if place == "attribute":
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weights))
    elif place == "branch":
        inner = [helper.make_node("Constant", [], ["c"], value=weights)]
        graph = helper.make_graph(inner, "inner", [], [helper.make_tensor_value_info("c", 1, [4])])
        yes = helper.make_node(
            "Constant", [], ["yes"], value=helper.make_tensor("t", onnx.TensorProto.BOOL, [], [True])
        )
        nodes = [yes, helper.make_node("If", ["yes"], ["w"], then_branch=graph, else_branch=graph), *nodes]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("inputs", 1, [1, 4])],
        [helper.make_tensor_value_info("outputs", 1, [1, 4])],
        [weights] if place == "initializer" else [],
    )
    path = folder / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )
    return path


def test_a_file_that_can_run_code_is_not_opened_unless_its_maker_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stranger: ModelFacts
) -> None:
    folder, marker = tmp_path / "model", tmp_path / "owned"
    folder.mkdir()
    hostile_pt2(folder / "model.pt2", marker)
    sealed(folder, replace(stranger, files={"pt2": "model.pt2"}))
    for options in ({}, {"format": "pt2"}):
        with pytest.raises(UserError, match=r"can run any code its maker put there.*--trust.*safetensors or onnx$"):
            load_model(folder, **options)  # type: ignore[arg-type]
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    assert main(["predict", str(folder), str(tmp_path / "image.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not marker.exists()
    with pytest.raises(UserError):  # and this is what it is spared from
        load_model(folder, trust=True)
    assert marker.exists()


def test_a_harmless_graph_is_opened_once_its_maker_is_trusted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stranger: ModelFacts
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    program = torch.export.export(Network(), (torch.zeros(1, 3, 4, 4),))
    torch.export.save(program, folder / "model.pt2")
    sealed(folder, replace(stranger, files={"pt2": "model.pt2"}))
    assert load_model(folder, trust=True).format == "pt2"
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "image.png")
    assert main(["predict", str(folder), str(tmp_path / "image.png"), "--trust"]) == 0
    assert "a 8" in capsys.readouterr().out  # softmax of 1 and -1


def test_of_several_files_the_first_that_is_harmless_is_opened(tmp_path: Path, stranger: ModelFacts) -> None:
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "model"
    folder.mkdir()
    hostile_pt2(folder / "model.pt2", tmp_path / "owned")
    np.arange(4, dtype=np.float32).tofile(folder / "weights.bin")
    onnx_with("weights.bin", folder)
    sealed(folder, replace(stranger, files={"pt2": "model.pt2", "onnx": "model.onnx"}))
    assert load_model(folder).format == "onnx"
    assert not (tmp_path / "owned").exists()


def test_a_format_that_says_nothing_of_itself_is_taken_to_run_code() -> None:
    assert {name for name, known in model_formats().items() if not known.runs_code} == {"safetensors", "onnx"}


@pytest.mark.parametrize("options", [{}, {"trust": True}, {"format": "torchscript"}])
def test_a_folder_that_holds_only_torchscript_is_refused(
    tmp_path: Path, options: dict[str, Any], stranger: ModelFacts
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.torchscript").write_bytes(b"anything")
    sealed(folder, replace(stranger, files={"torchscript": "model.torchscript"}))
    with pytest.raises(UserError, match=r"holds only torchscript; this version opens .*: export the model again$"):
        load_model(folder, **options)


@pytest.mark.parametrize("place", ["initializer", "attribute", "branch"])
@pytest.mark.parametrize(
    "at", ["../secret.bin", "{root}/secret.bin", "link.bin", "up/secret.bin", "a/../../secret.bin"]
)
def test_weights_of_an_onnx_file_stay_in_its_folder(tmp_path: Path, at: str, place: str) -> None:
    pytest.importorskip("onnxruntime")
    np.arange(4, dtype=np.float32).tofile(tmp_path / "secret.bin")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to("../secret.bin")
    (folder / "up").symlink_to("..")
    path = onnx_with(at.format(root=tmp_path), folder, place)
    with pytest.raises(UserError, match=r"takes weights from .*secret\.bin'|'link\.bin', outside of its folder"):
        OnnxModule(path)


def test_weights_beside_an_onnx_file_are_read(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    np.arange(4, dtype=np.float32).tofile(tmp_path / "weights.bin")
    outputs = OnnxModule(onnx_with("weights.bin", tmp_path))(torch.ones(1, 4))
    assert isinstance(outputs, torch.Tensor)
    assert outputs.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("content", [b"", b"not protobuf", b"\x0a\xff\xff\xff\xff\x0f"])
def test_a_file_that_is_not_onnx_is_reported_in_one_line(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"cannot read .*model\.onnx: [^\n]*; export the model again$"):
        OnnxModule(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["..", ".", "", "../tokenizer", "/tmp", "a/b", "a/../..", "./a", "a/"])
def test_the_tokenizer_is_in_the_folder_of_the_model(tmp_path: Path, name: str, stranger: ModelFacts) -> None:
    texts = TextPreprocessing(length=8, folder=name)
    folder = sealed(tmp_path / "model", replace(stranger, frame=None, texts=texts))
    with pytest.raises(UserError, match=r"texts\.folder must name a folder of the model's own"):
        load_model(folder)


@pytest.mark.parametrize("name", ["..", ".", "../model.safetensors", "/etc/hostname", "sub/model.safetensors"])
def test_files_of_a_model_are_directly_in_its_folder(tmp_path: Path, name: str, stranger: ModelFacts) -> None:
    folder = sealed(tmp_path / "model", replace(stranger, files={"safetensors": name}))
    with pytest.raises(UserError, match=r"files: .* is not among the files of"):
        load_model(folder)


def test_the_code_of_a_tokenizer_is_neither_run_nor_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers")
    from spaces import backbones  # heavy

    marker = tmp_path / "owned"
    place = tmp_path / "tokenizer"
    place.mkdir()
    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    sizes = {"intermediate_size": 8, "vocab_size": 20, "max_position_embeddings": 16}
    maps = {"auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model", "AutoTokenizer": ["evil.T", "evil.T"]}}
    (place / "config.json").write_text(json.dumps(config | sizes | maps))
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T", **maps}))
    (place / "evil.py").write_text(f"import os\nos.mkdir({str(marker)!r})\nclass Config: pass\nModel = T = Config\n")

    def asked(*_: object) -> str:
        raise AssertionError("nobody is asked at the terminal whether to run it")

    monkeypatch.setattr("builtins.input", asked)
    backbone: Any = backbones.resolve(f"transformers:{place}")
    with pytest.raises(backbones.BackboneError, match="tokenizer"):
        backbone.tokenizer()
    network = backbone.build((1, 8))
    assert type(network).__name__ == "BertModel"
    assert not marker.exists()


@pytest.mark.parametrize(
    "entry", [{"attn_implementation": "stranger/kernel"}, {"_attn_implementation": "stranger/kernel"}]
)
def test_a_description_brings_no_kernels_of_the_hub(tmp_path: Path, entry: dict[str, str]) -> None:
    pytest.importorskip("transformers")
    from spaces import backbones  # heavy

    config = {"model_type": "bert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    sizes = {"intermediate_size": 8, "vocab_size": 20, "max_position_embeddings": 16}
    (tmp_path / "config.json").write_text(json.dumps(config | sizes | entry))
    network: Any = backbones.resolve(f"transformers:{tmp_path}").build((1, 8))
    assert "stranger" not in str(network.config._attn_implementation)


def test_a_list_of_checksums_is_a_plain_file_of_a_sensible_size(tmp_path: Path, stranger: ModelFacts) -> None:
    for kind in ("pipe", "device", "huge", "none"):
        folder = sealed(tmp_path / kind, stranger)
        sums = folder / "SHA256SUMS"
        sums.unlink()
        if kind == "pipe":
            os.mkfifo(sums)
        elif kind == "device":
            sums.symlink_to("/dev/zero")
        elif kind == "huge":
            with sums.open("wb") as file:
                file.truncate(1 << 30)
        told = "is not there" if kind == "none" else "is not a list of checksums"
        with pytest.raises(UserError, match=f"SHA256SUMS {told}; export the model again"):
            load_model(folder)


@pytest.mark.parametrize(
    ("name", "read"), [("model.json", model_folder.read), ("candidate.json", candidates.read_candidate)]
)
def test_a_file_too_large_to_be_a_description_is_not_read(
    tmp_path: Path, stranger: ModelFacts, name: str, read: Any
) -> None:
    folder = sealed(tmp_path / "model", stranger)
    (folder / name).write_text('{"format": 1, "x": "' + "a" * (17 << 20) + '"}')
    model_folder.seal(folder)
    with pytest.raises(UserError, match=rf"{name}: .*larger than (4|16) MB"):
        read(folder)


@pytest.mark.parametrize(
    ("name", "read"), [("model.json", model_folder.read), ("candidate.json", candidates.read_candidate)]
)
def test_json_of_any_depth_is_reported_in_one_line(
    tmp_path: Path, name: str, read: Callable[[Path], object], stranger: ModelFacts
) -> None:
    folder = sealed(tmp_path / "model", stranger)
    (folder / name).write_text("[" * 100_000)
    model_folder.seal(folder)
    with pytest.raises(UserError, match=rf"{name}.*: [^\n]*recursion"):
        read(folder)


@pytest.mark.parametrize(
    ("wanted", "shape", "told"),
    [
        ("other", [1, 3, 4, 4], r"cannot run .*model\.onnx: "),
        ("inputs", [1], r"cannot run .*model\.onnx: |does not give what the task classification gives"),
        ("inputs", [1, 3, 4, 4], r"the onnx file does not give what the task classification gives"),
    ],
)
def test_a_graph_of_something_else_is_reported_in_one_line(
    tmp_path: Path, wanted: str, shape: list[int], told: str, stranger: ModelFacts
) -> None:
    pytest.importorskip("onnxruntime")
    onnx: Any = pytest.importorskip("onnx")
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("Identity", [wanted], ["outputs"])],
        "graph",
        [helper.make_tensor_value_info(wanted, 1, shape)],
        [helper.make_tensor_value_info("outputs", 1, shape)],
    )
    folder = tmp_path / "model"
    folder.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    sealed(folder, replace(stranger, files={"onnx": "model.onnx"}))
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    with pytest.raises(UserError, match=told):
        list(predict(load_model(folder), [tmp_path / "image.png"]))


def with_weights(folder: Path, facts: ModelFacts, backbone: str, weights: dict[str, torch.Tensor]) -> Path:
    """Write a model whose candidate is the plain recipe of ``backbone``, with other weights than it has."""
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    candidate = Space(resolve(backbone).outline((32, 32)), {}, "classification").baseline()
    return sealed(folder, replace(facts, files={"safetensors": "model.safetensors"}), json.dumps(candidate.to_json()))


def test_weights_are_compared_before_memory_is_taken_for_the_network_that_a_candidate_names(
    tmp_path: Path, stranger: ModelFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> None:
        raise AssertionError("a network of another's choice was built")

    monkeypatch.setattr("search.model.predict.blank", build)
    folder = with_weights(tmp_path / "model", stranger, "torchvision:vgg19", {"features.0.weight": torch.zeros(9)})
    with pytest.raises(WeightsError, match=r"of another candidate: .* is missing"):
        load_model(folder)


def test_weights_that_are_not_numbers_are_blamed_and_not_the_images(tmp_path: Path, stranger: ModelFacts) -> None:
    weights = {"classifier.1.weight": torch.full((4,), torch.nan)}
    folder = with_weights(tmp_path / "model", stranger, "torchvision:squeezenet1_1", weights)
    with pytest.raises(WeightsError, match=r"model\.safetensors hold 4 values in classifier\.1\.weight that are NaN"):
        load_model(folder)


@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.bool])
def test_weights_that_are_whole_numbers_are_refused(tmp_path: Path, kind: torch.dtype, stranger: ModelFacts) -> None:
    backbone = "torchvision:squeezenet1_1"
    candidate = Space(resolve(backbone).outline((32, 32)), {}, "classification").baseline()
    network = rebuild(candidate, blank(candidate, (32, 32)), task_of("classification", {}, {}).head_for(2))
    weights = {name: value.to(kind) for name, value in network.named_state().items()}
    folder = with_weights(tmp_path / "model", stranger, backbone, weights)
    with pytest.raises(
        WeightsError, match=rf"weights are not what the candidate has: \S+ is of {kind} instead of torch"
    ):
        load_model(folder)


@pytest.mark.parametrize("version", [True, 1.0, "1", 2, 0, None, [1]])
def test_a_version_that_is_not_the_number_is_refused(tmp_path: Path, version: Any, stranger: ModelFacts) -> None:
    folder = sealed(tmp_path / "model", stranger)
    facts = json.loads(stranger.to_json())
    (folder / "model.json").write_text(json.dumps(facts | {"format": version}))
    model_folder.seal(folder)
    with pytest.raises(
        UserError, match=r"model\.json(: format: Input should be a valid int| is of format .*reads format 1)"
    ):
        load_model(folder)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (3, 3)])
def test_a_network_that_takes_no_inputs_of_the_stated_size_is_one_line(
    tmp_path: Path, size: tuple[int, int], stranger: ModelFacts
) -> None:
    backbone = "torchvision:squeezenet1_1"
    candidate = Space(resolve(backbone).outline((32, 32)), {}, "classification").baseline()
    network = rebuild(candidate, blank(candidate, (32, 32)), task_of("classification", {}, {}).head_for(2))
    assert stranger.frame is not None
    facts = replace(stranger, frame=replace(stranger.frame, size=size, resize=size))
    folder = with_weights(tmp_path / "model", facts, backbone, network.named_state())
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    with pytest.raises(UserError, match=r"the network cannot take inputs of shape \(3, .*\); export the model again$"):
        list(predict(load_model(folder), [tmp_path / "image.png"]))
