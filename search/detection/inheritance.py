"""Weights and settings that a detector inherits from the pretrained one whose backbone it uses."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from search.detection.detectors import Detector, FasterRCNN
from search.detection.queries import QueryDetector
from spaces.detector import KINDS, PretrainedDetector
from spaces.heads import Tap

_NO_CLASS = ("__background__", "n/a")
_RENAMED = (
    (re.compile(r"^backbone\.fpn\."), "pyramid.fpn."),
    (re.compile(r"^head\."), "model.head."),
    # torchvision's first version names the two linear layers that the second has in sequence.
    (re.compile(r"^roi_heads\.box_head\.fc6\."), "roi_heads.box_head.1."),
    (re.compile(r"^roi_heads\.box_head\.fc7\."), "roi_heads.box_head.3."),
)
_BLOCKS = ("pyramid.fpn.inner_blocks", "pyramid.fpn.layer_blocks")
_OF_CLASSES = ("class_embed", "enc_score_head")
"""Layers of detectors with queries that have an output for each class."""
_NOISY = "denoising_class_embed.weight"
"""A vector for each class, and one for none at the end."""
_TOWERS = ("model.head.classification_head", "model.head.regression_head")


def take_over(detector: Detector, taps: Sequence[Tap], own: PretrainedDetector, classes: Sequence[str]) -> list[str]:
    """Copy into ``detector``, in place, what fits from the pretrained one; return the names of parts taken completely.

    A part is taken as far as its layers have the same shapes, from the first on, and only after a part that was taken:
    a head can make nothing of another pyramid. Class outputs are taken for classes that both know by name (if a file's
    class names are unknown: for all, if the number is the same); others stay fresh.

    Args:
        taps: the units that feed ``detector``.
        own: the pretrained detector; of another kind only the pyramid fits.
        classes: names of the data's classes.
    """
    if not own.weights:
        return []
    if isinstance(detector, QueryDetector):
        return _encoder_and_decoder(detector, own, classes)
    given = {_renamed(name): value for name, value in own.weights.items()}
    parts = _Parts(detector, given)
    levels = _levels(taps, own)
    if not parts.take_levels(levels):
        return []
    taken = ["pyramid"]
    parts.take("pyramid.fpn.extra_blocks")
    if isinstance(detector, FasterRCNN):
        return taken + _two_stages(parts, own, classes)
    return taken + _one_stage(parts, own, classes)


def words(own: PretrainedDetector, classes: Sequence[str]) -> str:
    """Return in one line for people what candidates may inherit."""
    kind = KINDS[own.kind]
    name, parts = kind.label, "encoder and decoder" if kind.has_queries else "pyramid and heads"
    shape = f"{own.width} channels from stride {own.finest}, {own.extra} levels after the last map"
    if not own.weights:
        return f"the backbone is one of {name}, without weights: {parts} start fresh"
    known = fitting_classes(own.outputs, own.classes, classes, background=own.kind == "faster_rcnn")
    listed = ", ".join(classes[index] for index in known)
    outputs = f"outputs that it has: {listed}" if known else "it has none of the classes: their outputs start fresh"
    if known and len(known) < len(classes):
        outputs += f"; those of the other {len(classes) - len(known)} classes start fresh"
    if kind.has_queries:
        shape = f"{own.width} channels from stride {own.finest}"
        return f"an encoder of {shape}, and a decoder start from the pretrained {name}'s, of the same kind; {outputs}"
    return f"a pyramid of {shape}, and heads of {name} start from the pretrained detector's; {outputs}"


def fitting_classes(outputs: int, own: Sequence[str], classes: Sequence[str], *, background: bool) -> dict[int, int]:
    """Return for each of ``classes`` (by index) the index of its output in the pretrained detector.

    Args:
        outputs: number of outputs of the pretrained detector.
        own: their names; empty if unknown. Then all are taken if there are as many, or one more for the background,
            which comes first.
        background: whether one of the outputs is always the background.
    """
    if own:
        places = {_plain(name): index for index, name in enumerate(own) if name.lower() not in _NO_CLASS}
        return {index: places[_plain(name)] for index, name in enumerate(classes) if _plain(name) in places}
    if outputs == len(classes) + 1:
        return {index: index + 1 for index in range(len(classes))}
    if outputs == len(classes) and not background:
        return {index: index for index in range(len(classes))}
    return {}


class _Parts:
    """A detector's tensors, and those that it may take."""

    def __init__(self, detector: nn.Module, given: Mapping[str, Tensor]) -> None:
        self._own = detector.state_dict()
        self._given = given

    def take(self, stem: str) -> bool:
        """Take the layers under ``stem`` up to the first that does not fit; return whether all were taken."""
        own = [name for name in self._own if name.startswith(f"{stem}.")]
        for name in own:
            if name not in self._given or self._given[name].shape != self._own[name].shape:
                return False
            self._own[name].copy_(self._given[name])
        return len(own) == sum(name.startswith(f"{stem}.") for name in self._given)

    def take_levels(self, levels: Mapping[int, int]) -> bool:
        """Take the pyramid's convolutions of levels, own index -> given index; return whether any fitted."""
        taken = False
        for level, source in levels.items():
            for stem in _BLOCKS:
                mine, theirs = _under(f"{stem}.{level}.", self._own), _under(f"{stem}.{source}.", self._given)
                if mine.keys() == theirs.keys() and all(mine[name].shape == theirs[name].shape for name in mine):
                    for name, value in mine.items():
                        value.copy_(theirs[name])
                    taken = True
        return taken

    def take_rows(self, stem: str, rows: Mapping[int, int], shape: tuple[int, int, int]) -> bool:
        """Take rows of outputs, own index -> given index; return whether they fitted.

        ``shape`` is the layout of the detector's own outputs: groups of rows of numbers.
        """
        groups, _, each = shape
        for name in (f"{stem}.weight", f"{stem}.bias"):
            mine, theirs = self._own[name], self._given[name]
            if mine.shape[1:] != theirs.shape[1:] or len(mine) != math.prod(shape) or len(theirs) % (groups * each):
                return False
            mine, theirs = (weights.view(groups, -1, each, *weights.shape[1:]) for weights in (mine, theirs))
            for own, source in rows.items():
                mine[:, own] = theirs[:, source]
        return True


def _encoder_and_decoder(detector: QueryDetector, own: PretrainedDetector, classes: Sequence[str]) -> list[str]:
    """Take encoder and decoder of a detector of the same kind, width and number of maps; of fewer layers, the first."""
    setting = detector.setting
    if not setting.settings or own.width != setting.channels or len(own.taps) != len(detector.taps):
        return []
    outputs = fitting_classes(own.outputs, own.classes, classes, background=False)
    for name, value in detector.model.state_dict().items():
        given = own.weights.get(name)
        if given is None or given.shape[1:] != value.shape[1:]:
            continue
        if name.endswith(_NOISY) or any(f".{layer}." in name for layer in _OF_CLASSES):
            for place, source in outputs.items():
                value[place] = given[source]
            if name.endswith(_NOISY):
                value[-1] = given[-1]
        elif given.shape == value.shape:
            value.copy_(given)
    return ["encoder", "decoder", *_known(outputs, classes)]


def _two_stages(parts: _Parts, own: PretrainedDetector, classes: Sequence[str]) -> list[str]:
    taken = []
    if parts.take("rpn.head.conv"):
        parts.take("rpn.head.cls_logits")
        parts.take("rpn.head.bbox_pred")
        taken.append("region proposals")
    if parts.take("roi_heads.box_head"):
        taken.append("box head")
        stem = "roi_heads.box_predictor"
        outputs = fitting_classes(own.outputs, own.classes, classes, background=True)
        rows = {0: 0} | {own + 1: source for own, source in outputs.items()}
        parts.take_rows(f"{stem}.cls_score", rows, (1, len(classes) + 1, 1))
        parts.take_rows(f"{stem}.bbox_pred", rows, (1, len(classes) + 1, 4))
        taken += _known(outputs, classes)
    return taken


def _one_stage(parts: _Parts, own: PretrainedDetector, classes: Sequence[str]) -> list[str]:
    taken = []
    classification, regression = _TOWERS
    if parts.take(f"{regression}.conv"):
        for layer in ("bbox_reg", "bbox_ctrness"):
            parts.take(f"{regression}.{layer}")
        taken.append("box layers")
    if parts.take(f"{classification}.conv"):
        taken.append("class layers")
        outputs = fitting_classes(own.outputs, own.classes, classes, background=False)
        if parts.take_rows(f"{classification}.cls_logits", outputs, (_own_anchors(own), len(classes), 1)):
            taken += _known(outputs, classes)
    return taken


def _own_anchors(own: PretrainedDetector) -> int:
    """Return the number of anchors per point of a one-stage detector: its sizes in three shapes; FCOS has one."""
    return 1 if own.kind == "fcos" else 3 * len(own.sizes[0])


def _known(outputs: Mapping[int, int], classes: Sequence[str]) -> list[str]:
    if not outputs:
        return []
    names = [classes[index] for index in outputs]
    return [f"classes {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"]


def _levels(taps: Sequence[Tap], own: PretrainedDetector) -> dict[int, int]:
    """Return the pretrained pyramid's level for each tap that has one: of the same unit, else of the same stride."""
    strides = {own.finest * 2**index: index for index in range(len(own.taps))}
    levels: dict[int, int] = {}
    for index, tap in enumerate(taps):
        if tap.name in own.taps:
            levels[index] = own.taps.index(tap.name)
        elif tap.reduction in strides:
            levels[index] = strides[tap.reduction]
    return levels


def _under(stem: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with ``stem``, by the rest of the name."""
    return {name.removeprefix(stem): value for name, value in tensors.items() if name.startswith(stem)}


def _renamed(name: str) -> str:
    for pattern, new in _RENAMED:
        name = pattern.sub(new, name)
    return name


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", " ").replace("-", " ")
