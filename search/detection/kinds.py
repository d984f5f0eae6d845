"""Every kind of detector by name."""

from __future__ import annotations

from collections.abc import Mapping

from search.detection.detectors import Detector, FasterRCNN, Fcos, Retina
from search.detection.queries import DFine, RTDetr

KINDS: Mapping[str, type[Detector]] = {
    "faster_rcnn": FasterRCNN,
    "retinanet": Retina,
    "fcos": Fcos,
    "rtdetr": RTDetr,
    "dfine": DFine,
}
