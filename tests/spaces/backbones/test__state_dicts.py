from __future__ import annotations

import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spaces.backbones._state_dicts import check_numbers, read
from spaces.errors import WeightsError

NETWORK = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
STATE = NETWORK.state_dict()


def saved(folder: Path, data: Any, name: str = "a.pth") -> Path:
    torch.save(data, folder / name)
    return folder / name


WRAPPED = [
    STATE,
    {"state_dict": STATE, "epoch": 3},
    {"model_state_dict": STATE, "optimizer_state_dict": {"state": {}, "lr": 0.1}, "loss": 0.5},
    {"model": STATE, "ema": STATE},
    {"net": {"state_dict": STATE}},
    {"weights": STATE},
    {"student": STATE, "epoch": 1},
    {f"module.{name}": value for name, value in STATE.items()},
    {f"_orig_mod.{name}": value for name, value in STATE.items()},
    {"state_dict": {f"model.{name}": value for name, value in STATE.items()}},
    {"model": {f"module._orig_mod.{name}": value for name, value in STATE.items()}},
    {"model": {f"_orig_mod.module.{name}": value for name, value in STATE.items()}},
    {"ema": {"module": STATE, "updates": 9}, "epoch": 3},
    {"ema": {"module": STATE}, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []}},
    {"n_averaged": torch.tensor(4)} | {f"module.{name}": value for name, value in STATE.items()},
]


@pytest.mark.parametrize("data", WRAPPED, ids=[", ".join(list(data)[:2]) for data in WRAPPED])
def test_a_state_dict_is_found_in_what_wraps_it(tmp_path: Path, data: Any) -> None:
    found = read(saved(tmp_path, data))
    assert list(found) == list(STATE)
    for name, value in STATE.items():
        torch.testing.assert_close(found[name], value)


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.bin"])
def test_safetensors_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    save_file(STATE, tmp_path / name)
    assert set(read(tmp_path / name)) == set(STATE)
    assert set(read(saved(tmp_path, STATE, name))) == set(STATE)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html><head><title>Sign in</title>", "it is a saved web page; download the file itself"),
        (b"\n  <html lang='en'>", "it is a saved web page"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "it is a saved web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 1\n",
            "it is a pointer of Git LFS; .*git lfs",
        ),
        (b'{"error": "not found"}', "it is JSON"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "it is a text file; name the file with the weights"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "it is an HDF5 file, as Keras writes it"),
        (b"\x1f\x8b\x08\x00" + bytes(600), "it is an archive; unpack it"),
        (b"", "cannot read weights from"),
        (bytes(600), "it is nothing that safetensors or torch.save wrote"),
        (b"\x08\x07\x12\x07pytorch" + bytes(50), "it is nothing that safetensors or torch.save wrote"),  # ONNX
        (b"GGUF" + bytes(99), "it is nothing that safetensors or torch.save wrote"),
        (pickle.dumps({"a": [1, 2]}), "it is nothing that safetensors or torch.save wrote"),
    ],
)
def test_other_files_are_called_what_they_are(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=message) as raised:
        read(tmp_path / name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("left", [20, 1000, -10])
@pytest.mark.parametrize("kind", ["safetensors", "zip", "legacy"])
def test_what_is_cut_short_is_called_so(tmp_path: Path, kind: str, left: int) -> None:
    path, state = tmp_path / "a.pth", {"a.weight": torch.zeros(40, 40)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(WeightsError, match="cut short"):
        read(path)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (NETWORK, "torch.nn.modules.container.Sequential"),
        ({"model": NETWORK}, "torch.nn.modules.container.Sequential"),
        ({"state_dict": STATE, "args": Namespace(lr=0.1)}, "argparse.Namespace"),
    ],
)
def test_a_whole_pickled_object_is_refused_by_its_name(tmp_path: Path, data: Any, name: str) -> None:
    with pytest.raises(WeightsError, match=rf"a whole pickled object \({name}\), and reading that would run code"):
        read(saved(tmp_path, data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"generator": STATE, "discriminator": STATE}, r"holds several state dicts \(generator, discriminator\)"),
        ({"epoch": 3}, "holds no state dict"),
        ({}, "holds no state dict"),
        ([STATE], "holds no state dict"),
        (torch.zeros(3), "holds no state dict"),
        ({"a": {"b": {"c": {"d": STATE}}}}, "holds no state dict"),
    ],
)
def test_what_holds_none_or_several_is_refused(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        read(saved(tmp_path, data))


@pytest.mark.parametrize(
    "odd",
    [
        lambda: torch.zeros(1).expand(2**40),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.empty(2, 2, device="meta"),
        lambda: torch.quantize_per_tensor(torch.zeros(3), 0.1, 0, torch.qint8),
    ],
    ids=["expanded", "sparse", "meta", "quantised"],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, on the quantised ones
def test_tensors_without_plain_values_are_refused(tmp_path: Path, odd: Callable[[], torch.Tensor]) -> None:
    with pytest.raises(WeightsError, match="cannot read weights from") as raised:
        read(saved(tmp_path, STATE | {"3.weight": odd()}))
    assert "\n" not in str(raised.value)


def test_eight_bits_are_looked_at_too(tmp_path: Path) -> None:
    state = {"a.weight": torch.ones(2).to(torch.float8_e4m3fn)}
    assert read(saved(tmp_path, state))["a.weight"].dtype == torch.float8_e4m3fn
    with pytest.raises(WeightsError, match="NaN or infinite"):
        read(saved(tmp_path, {"a.weight": torch.tensor([float("nan")]).to(torch.float8_e4m3fn)}))


def test_an_adapter_alone_is_called_so(tmp_path: Path) -> None:
    state = {f"base_model.model.0.lora_{part}.weight": torch.ones(2, 2) for part in "AB"}
    with pytest.raises(WeightsError, match=r"low-rank updates .* alone; merge them"):
        read(saved(tmp_path, state))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_that_are_not_numbers_are_refused(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    state = {name: tensor.clone() for name, tensor in STATE.items()}
    state["2.weight"] = torch.full((2, 4), value, dtype=dtype)
    with pytest.raises(WeightsError, match=r"hold 8 values in 2\.weight that are NaN or infinite"):
        read(saved(tmp_path, state))


def test_a_mask_of_infinities_is_not_a_fault() -> None:
    check_numbers({"attn_mask": torch.tensor([0.0, -torch.inf]), "count": torch.tensor(3)}, "a")
    with pytest.raises(WeightsError, match="1 values in attn_mask"):
        check_numbers({"attn_mask": torch.tensor([0.0, torch.nan])}, "a")
