"""Readable names for a search's parameters, by the names that samplers know."""

from __future__ import annotations

import re

from spaces.candidate import short

_WORDS = {
    "anchors.ratios": "anchor ratios",
    "anchors.scale": "anchor scale",
    "anchors.source": "source of anchor sizes",
    "augmentation": "augmentation",
    "auxiliary_loss.weight": "weight of the auxiliary loss",
    "batch_size": "batch size",
    "box_head.depth": "layers of the box head",
    "box_head.width": "width of the box head",
    "decoder.depth": "layers of the decoder",
    "decoder.kind": "decoder",
    "decoder.width": "width of the decoder",
    "dropout.head": "dropout in the head",
    "epochs.share": "share of the epochs",
    "freeze": "units frozen",
    "head.activation": "activation of the head",
    "head.hidden": "hidden layers of the head",
    "head.norm": "normalisation in the head",
    "head.pooling": "pooling",
    "insert.kind": "inserted module",
    "insert.where": "inserted after",
    "insert.width": "width of inserted modules",
    "label_smoothing": "label smoothing",
    "length": "tokens",
    "lora.rank": "LoRA rank",
    "lora.where": "LoRA in",
    "mixing.cutmix": "CutMix strength",
    "mixing.kind": "mixing of images",
    "mixing.mixup": "mixup strength",
    "optimizer.name": "optimizer",
    "optimizer.schedule": "learning rate schedule",
    "pattern.kind": "which weights are trained",
    "pattern.stage": "stage that is trained",
    "penalty.kind": "weight penalty",
    "penalty.l1": "L1 strength",
    "penalty.l2": "L2 strength",
    "proposals": "proposals per image",
    "pseudo.labels": "pseudo-labels",
    "pseudo.threshold": "confidence of pseudo-labels",
    "pseudo.weight": "weight of pseudo-labels",
    "pyramid_levels": "pyramid levels",
    "pyramid_width": "pyramid width",
    "resolution": "input size",
    "segmentation_loss.kind": "pixel loss",
    "tail": "units dropped at the end",
    "upsampling.kind": "upsampling",
}
_OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
_VALUES = _OPTIMIZERS | {"l1": "L1", "l2": "L2", "l2_sp": "L2-SP", "cutmix": "CutMix"}
_RATES = {"lr_backbone": "backbone learning rate", "lr_head": "head learning rate", "layer_decay": "layer decay"}
_PLACES = {"kernel": "kernel change", "skip": "skipped unit", "stride": "stride change", "width": "width change"}
_NUMBERED = re.compile(r"([a-z_]+?)\.?(\d+)")


def label(name: str) -> str:
    """Return the readable name of the parameter ``name``: ``backbone learning rate (AdamW)``.

    In a study of several backbones the backbone's name is added. A plug-in's parameter keeps its own name, with
    spaces for dots and underscores.
    """
    own, _, backbone = name.partition("@")
    return _label(own) + (f", {backbone}" if backbone else "")


def _label(name: str) -> str:
    if name in _WORDS:
        return _WORDS[name]
    decision, _, rest = name.partition(".")
    optimizer, _, rate = rest.partition(".")
    if decision == "optimizer" and optimizer in _OPTIMIZERS and rate in _RATES:
        return f"{_RATES[rate]} ({_OPTIMIZERS[optimizer]})"
    if name.startswith("head.width") and name.removeprefix("head.width").isdecimal():
        return f"width of the head's layer {name.removeprefix('head.width')}"
    numbered = _NUMBERED.fullmatch(name)
    if numbered is not None and numbered[1] in _PLACES:
        return f"{_PLACES[numbered[1]]} {numbered[2]}"
    return re.sub(r"[._]+", " ", name)


def value(raw: object) -> str:
    """Return a parameter's value as text: numbers in one form, ``off`` and ``on`` for booleans, names as written."""
    if isinstance(raw, bool):
        return "on" if raw else "off"
    return short(raw) if isinstance(raw, float) else _VALUES.get(str(raw), str(raw))
