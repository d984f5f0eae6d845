"""A commented study file for data whose task and format are known."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from search.data.sample import Dataset, Sample, Split
from search.new_study.recognised import Recognised
from search.records.command_line import command
from search.records.plain_text import printable
from search.records.study import Json
from search.tasks import tasks
from search.tasks._base import Task
from search.training.options import TrainingOptions
from spaces.backbones._base import Backbone

_COLUMN = 27
"""Text column at which comments begin."""
_CELL, _LONGEST = 32, 256
_CHARACTERS = 4
"""Characters per token of English text, roughly."""
_LOOKED_AT = 64

_EPOCHS = ("epochs", "{shares: [0.25, 0.35, 0.5, 0.7, 1]}", "all epochs, or a share of them, where time is short")
_AVERAGE = ("weight_average", "{}", "the last weights or a moving average of them")
_IMAGE_SPACE = (
    ("freeze", "{}", "first 0..all units keep their weights; {low: 2, high: 10} narrows it"),
    ("tail", "{}", "last 0..a third of the units are dropped"),
    ("kernel", "{sizes: [3, 5]}", "one stage may get 5x5 kernels, which start as the pretrained function"),
    ("stride", "{}", "reductions that may be switched off"),
    ("pattern", "{}", "norm layers, biases or one stage alone may learn"),
    ("lora", "{}", "low-rank updates of frozen units"),
    ("insert", "{}", "small blocks that learn after frozen units"),
    ("head", "{hidden: 2, widths: [128, 256, 512]}", ""),
    ("dropout", "{head: 0.5}", ""),
    ("penalty", "{kinds: [none, l1, l2]}", ""),
    ("label_smoothing", "{}", ""),
    ("mixing", "{}", "no mixing, mixup or CutMix"),
    _AVERAGE,
    _EPOCHS,
    ("optimizer", "{layer_decay: [0.6, 1.0]}", "SGD or AdamW, learning rates of head and backbone, schedule"),
)
_SPACES: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "detection": (
        ("freeze", "{}", "first 0..all units keep their weights, and are computed once"),
        ("detector", "{}", "Faster R-CNN, RetinaNet, FCOS"),
        ("pyramid_levels", "{}", "finest level and coarser ones after the last map"),
        ("pyramid_width", "{}", ""),
        ("anchors", "{}", "sizes and shapes suggested from the boxes; `ftsearch plan` shows them"),
        ("box_head", "{}", ""),
        ("proposals", "{}", "that Faster R-CNN's second stage looks at"),
        _AVERAGE,
        _EPOCHS,
        ("optimizer", "{names: [sgd, adamw]}", ""),
    ),
    "segmentation": (
        ("freeze", "{}", "first 0..all units keep their weights, and are computed once"),
        ("tail", "{}", "last 0..a third of the units are dropped"),
        ("stride", "{reductions: 2, dilate: true, max_growth: 4}", "output stride 16 or 8 instead of 32"),
        ("decoder", "{}", "FCN, DeepLabV3, LR-ASPP, U-Net"),
        ("upsampling", "{}", ""),
        ("auxiliary_loss", "{}", ""),
        ("segmentation_loss", "{}", ""),
        ("dropout", "{head: 0.3}", ""),
        _AVERAGE,
        _EPOCHS,
        ("optimizer", "{names: [sgd, adamw]}", ""),
    ),
}
_TEXT_SPACE = (
    ("freeze", "{}", "first 0..all layers keep their weights, and are computed once"),
    ("tail", "{}", "last 0..a third of the layers are dropped"),
    ("head", "{hidden: 1, widths: [64, 128, 256]}", ""),
    ("dropout", "{head: 0.3}", ""),
    ("penalty", "{kinds: [none, decay]}", ""),
    ("lora", "{}", "low-rank updates of frozen layers"),
    _AVERAGE,
    _EPOCHS,
    ("optimizer", "{names: [adamw]}", "learning rates of head and backbone, schedule"),
)


@dataclass(frozen=True, slots=True)
class _Training:
    epochs: str
    batch_size: int


_BATCH = 32
_TEXT_STEPS, _TEXT_EPOCHS = 240, (3, 6)
"""BERT's authors trained for 3 epochs or 4 (https://arxiv.org/abs/1810.04805, appendix A.3); with few texts these are
too few steps (https://arxiv.org/abs/2006.04884)."""
_TRAINING = {"detection": _Training("12", 8), "segmentation": _Training("20", 16)}


def backbone_for(task: str) -> str:
    """Return the default backbone of a study of ``task``, a small one."""
    return "mobilenet_v2" if tasks()[task].reads == "images" else "all-minilm-l6-v2"


def draft(recognised: Recognised, dataset: Dataset, backbone: Backbone, *, file: Path, name: str) -> str:
    """Return the text of a study file.

    Args:
        dataset: read from ``recognised``.
        file: where the text will be stored; ``name`` of the study.
    """
    task = tasks()[recognised.task]
    train = dataset.of(Split.TRAIN)
    usual = _Training("auto" if task.reads == "images" else str(_text_epochs(len(train))), _BATCH)
    chosen = _TRAINING.get(task.name, usual)
    parts = [
        f"# Study file for {printable(recognised.path)}\n# Look at what it would do:  {command('plan', file)}\n"
        f"# Run it:                    {command('run', file)}\n# Every key and its meaning: ftsearch schema",
        _lines(("name", _plain(name), "under this name it is kept in the database"), ("task", recognised.task, "")),
        _data(recognised, dataset),
        _network(task, backbone, train),
        "space:"
        + " " * (_COLUMN - 6)
        + "# decisions that are not named keep the plain recipe's value\n"
        + _space(task),
        _training(task, chosen, len(train)),
        "search:\n"
        + _lines(
            ("trials", "auto", "30, or as many as a timeout leaves time for; or a number"),
            ("# timeout", "2h", "for all of it, the final model included"),
            ("pruner", "median", "median, halving, none"),
            ("seed", "0", ""),
            indent=2,
        ),
        _lines(("objective", _objective(task, train), ", ".join(task.directions))),
    ]
    return "\n\n".join(parts) + "\n"


def _data(recognised: Recognised, dataset: Dataset) -> str:
    on_error = "skip" if dataset.skipped else "refuse"
    other = "skip: leave broken samples out and list them"
    if dataset.skipped:
        other = "refuse: stop at the first broken sample"
    rows = [("format", recognised.format, recognised.why), ("path", _plain(str(recognised.path.absolute())), "")]
    rows += [(key, _plain(value), "") for key, value in recognised.options.items()]
    if recognised.format == "mask_folder":
        rows.append(("# classes", "[road, sky]", "names of the masks' values 0, 1, 2 ..."))
        rows.append(("# ignore", "[255]", "values of pixels to ignore"))
    rows += [("val_share", "0.2", "cut from training where the data have no validation part")]
    rows += [("on_error", on_error, other)]
    return "data:\n" + _lines(*rows, indent=2)


def _network(task: Task, backbone: Backbone, train: Sequence[Sample]) -> str:
    rows = [
        (
            "backbone",
            backbone.name.partition(":")[2],
            "`ftsearch backbones` lists all, `ftsearch show NAME` their units",
        ),
        ("weights", "default", "the best that this machine has, else downloaded; none: from scratch"),
    ]
    if task.reads != "images":
        return f"{_lines(*rows)}\n\n{task.name}:\n" + _lines(
            ("max_length", str(_tokens(train)), "tokens; batches are padded to their own longest only"), indent=2
        )
    if task.name in _SPACES:
        size = json.dumps(list(_fitted(train)))
        rows.append(("input_size", size, "height and width; whole images are squashed to it"))
    else:
        rows.append(("input_size", str(backbone.preprocessing.crop), "pixels"))
    return _lines(*rows)


def _space(task: Task) -> str:
    known = _SPACES.get(task.name, _IMAGE_SPACE if task.reads == "images" else _TEXT_SPACE)
    return _lines(*(row for row in known if row[0] not in task.leaves_out), indent=2)


def _training(task: Task, chosen: _Training, samples: int) -> str:
    most = TrainingOptions(batch_size=chosen.batch_size).most_epochs(samples)
    auto = f"up to {most} here, fewer where much learns; a number fixes it" if chosen.epochs == "auto" else ""
    rows = [("epochs", chosen.epochs, auto), ("batch_size", str(chosen.batch_size), "")]
    if task.reads == "images":
        rows.append(("augmentation", "light", "none, light, medium, strong"))
        rows.append(("flip", "true", "false for digits, letters, anything that is not the same when mirrored"))
    return "training:\n" + _lines(*rows, indent=2)


def _objective(task: Task, train: Sequence[Sample]) -> str:
    counts = Counter(sample.target for sample in train if isinstance(sample.target, int))
    uneven = bool(counts) and max(counts.values()) > 2 * min(counts.values())
    return "balanced_accuracy" if uneven and "balanced_accuracy" in task.directions else next(iter(task.directions))


def _fitted(train: Sequence[Sample]) -> tuple[int, int]:
    """Return a height and width that fit the shape of most images, in steps that backbones accept."""
    sizes = [sample.input.open().size for sample in train[:_LOOKED_AT]]
    ratios = sorted(width / height for width, height in sizes)
    ratio = min(max(ratios[len(ratios) // 2], 0.5), 2.0)
    longest = max(max(size) for size in sizes)
    long = min(_LONGEST, max(_CELL * 2, longest // _CELL * _CELL))
    other = max(round(long / max(ratio, 1 / ratio) / _CELL), 1) * _CELL
    return (other, long) if ratio >= 1 else (long, other)


def _text_epochs(texts: int) -> int:
    """Return as many passes over ``texts`` as make enough steps, within what is usual."""
    least, most = _TEXT_EPOCHS
    return min(max(math.ceil(_TEXT_STEPS / math.ceil(texts / _BATCH)), least), most)


def _tokens(train: Sequence[Sample]) -> int:
    """Return about how many tokens 19 of 20 texts have, in steps of 16, from 16 to 256."""
    lengths = sorted(len(str(sample.input.open())) for sample in train)
    return min(max(math.ceil(lengths[len(lengths) * 19 // 20] / _CHARACTERS / 16) * 16, 16), _LONGEST)


def _lines(*rows: tuple[str, str, str], indent: int = 0) -> str:
    """Return keys with their values, comments in one column."""
    made = []
    for key, value, comment in rows:
        line = f"{' ' * indent}{key}: {value}"
        made.append(f"{line.ljust(_COLUMN - 1)} # {comment}" if comment else line)
    return "\n".join(made)


def _plain(value: Json) -> str:
    """Return ``value`` as a study file writes it."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).removesuffix("...\n").strip()
    )
