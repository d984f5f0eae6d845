"""Small detectors with random weights in folders as Hugging Face's hub has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import (
    DFineConfig,
    DFineForObjectDetection,
    HGNetV2Config,
    RTDetrResNetConfig,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
)

CLASSES = ("person", "cat", "dog", "kite")
_SMALL = {
    "encoder_hidden_dim": 64,
    "d_model": 64,
    "decoder_in_channels": [64] * 3,
    "encoder_in_channels": [16, 24, 32],
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 56,
    "decoder_layers": 3,
    "num_queries": 25,
    "hidden_expansion": 0.5,
}


def published(kind: str, folder: Path, **changes: Any) -> Any:
    """Write a detector of four classes to ``folder`` and return it; every weight has a value of its own."""
    torch.manual_seed(5)
    names = dict(enumerate(CLASSES))
    labels = {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    if kind == "rtdetr":
        ends = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "out_indices": [2, 3, 4]}
        body = RTDetrResNetConfig(depths=[1, 2, 1, 1], layer_type="basic", **ends)
        network: Any = RTDetrV2ForObjectDetection(RTDetrV2Config(backbone_config=body, **_SMALL, **labels, **changes))
    else:
        stages: dict[str, Any] = {
            "stage_in_channels": [8, 8, 16, 24],
            "stage_mid_channels": [4, 4, 8, 8],
            "stage_out_channels": [8, 16, 24, 32],
            "stage_num_blocks": [1, 1, 1, 1],
            "stage_numb_of_layers": [2, 2, 2, 2],
            "stem_channels": [3, 8, 8],
            "depths": [1, 1, 1, 1],
        }
        ends = HGNetV2Config(hidden_sizes=[8, 16, 24, 32], embedding_size=8, out_indices=[2, 3, 4], **stages)
        points = {"decoder_n_points": [3, 6, 3]}
        network = DFineForObjectDetection(
            DFineConfig(backbone_config=ends, **{**_SMALL, **points}, **labels, **changes)
        )
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter), alpha=0.03)
        for layer in network.modules():
            if hasattr(layer, "running_mean"):  # those of the backbone are the library's own, frozen
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 2)
                layer.weight.uniform_(0.5, 1.5)
    network.eval().save_pretrained(folder)
    processor = {"do_normalize": False, "do_rescale": True, "size": {"height": 128, "width": 128}, "resample": 2}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return network
