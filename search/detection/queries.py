"""Detectors of the DETR family: a decoder turns queries into boxes. Networks and losses are those of ``transformers``.

https://arxiv.org/abs/2407.17140 (RT-DETR v2), https://arxiv.org/abs/2410.13842 (D-FINE).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert

from search.data.transfer import fetched, sent
from search.detection.detectors import DETECTIONS, Detector, DetectorSettings, Levels
from search.errors import UserError
from spaces.heads import MapLayout, Tap

_HEAD_WIDTH = 32
"""Channels of an attention head, as in the published networks of 256 channels; `pyramid_width` offers multiples."""
_CACHED = ("_cached_generate_anchors", "_cached_build_2d_sinusoidal_position_embedding")
"""What the library keeps of earlier calls."""


class QueryDetector(Detector):
    """A hybrid encoder on the maps of any chain, and a decoder of queries.

    The encoder joins maps of which each has twice the sides of the next; others are resampled to that.
    ``model`` is the library's detector without its backbone, under the library's names.
    """

    library: ClassVar[str]
    """Beginning of the names of the classes in ``transformers``."""

    def __init__(self, taps: Sequence[Tap], setting: DetectorSettings, dropout: float) -> None:
        """Create a detector with random weights.

        Raises:
            SurgeryError: the tokens of a tap are not a grid of square patches.
            UserError: ``transformers`` is not installed.
        """
        super().__init__(taps, setting, dropout)
        self.layouts = nn.ModuleList(MapLayout(tap) for tap in taps)
        rows, columns = taps[-1].grid
        self.grids = tuple((rows << step, columns << step) for step in reversed(range(len(taps))))
        self.model = _built(self.library, taps, sum(rows * columns for rows, columns in self.grids), setting)

    def joined(self, maps: Sequence[Tensor]) -> Levels:
        levels: Levels = OrderedDict()
        parts = zip(self.layouts, self.model.model.encoder_input_proj, self.grids, maps, strict=True)
        for index, (layout, project, grid, output) in enumerate(parts):
            level = project(layout(output))
            if level.shape[-2:] != grid:
                level = F.interpolate(level, grid, mode="bilinear", align_corners=False)
            levels[str(index)] = level
        return levels

    def answers(self, levels: Levels, labels: list[dict[str, Tensor]] | None = None) -> Any:
        """Return the library's output for ``levels``; with ``labels``, in its own form, the losses too."""
        encoded = self.model.model.encoder(list(levels.values()))
        # Of the first map, the library reads only the size of the batch and the device.
        return self.model(None, inputs_embeds=encoded.last_hidden_state[0], encoder_outputs=encoded, labels=labels)

    def measure(self, levels: Levels, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        height, width = self.setting.size
        size = sent(torch.tensor([width, height, width, height], dtype=torch.float32), targets[0]["boxes"].device)
        labels = [
            {"class_labels": one["labels"], "boxes": box_convert(one["boxes"] / size, "xyxy", "cxcywh")}
            for one in targets
        ]
        losses: dict[str, Tensor] = self.answers(levels, labels).loss_dict
        return losses

    def surest(self, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
        """Return the ``K`` surest boxes of every image, the surest first; as many as there are queries, at most 100.

        Returns:
            ``boxes (N, K, 4)``, corners as fractions of the input; ``scores (N, K)``, 0 for those below the least
            score; ``labels (N, K)``.
        """
        told = self.answers(levels)
        most, classes = min(DETECTIONS, self.model.config.num_queries), self.setting.classes
        scores, places = told.logits.sigmoid().flatten(1).topk(most, dim=1)
        queries = torch.div(places, classes, rounding_mode="floor")
        boxes = box_convert(told.pred_boxes, "cxcywh", "xyxy").clamp(0, 1)
        boxes = boxes.gather(1, queries[..., None].expand(-1, -1, 4))
        return boxes, torch.where(scores > self.setting.least_score, scores, 0.0), places % classes

    def detect(self, levels: Levels) -> list[dict[str, Tensor]]:
        height, width = self.setting.size
        boxes, scores, labels = self.surest(levels)
        boxes = boxes * sent(torch.tensor([width, height, width, height], dtype=boxes.dtype), boxes.device)
        counts = fetched({"counts": (scores > 0).sum(dim=1)})["counts"].tolist()
        return [
            {"boxes": corners[:count], "scores": sure[:count], "labels": kinds[:count]}
            for corners, sure, kinds, count in zip(boxes, scores, labels, counts, strict=True)
        ]

    def counted(self, maps: Sequence[Tensor]) -> Any:
        return self.answers(self.levels(maps))


class RTDetr(QueryDetector):
    """RT-DETR v2: deformable attention to the maps, boxes refined from layer to layer."""

    library = "RTDetrV2"


class DFine(QueryDetector):
    """D-FINE: RT-DETR whose layers refine distributions of the boxes' sides, the last teaching the others."""

    library = "DFine"


def _built(library: str, taps: Sequence[Tap], points: int, setting: DetectorSettings) -> Any:
    """Return the library's detector without a backbone; it looks for objects at ``points`` of the maps."""
    try:
        package = import_module("transformers")
    except ImportError as error:
        raise UserError("detectors with queries need transformers: pip install 'ftsearch[transformers]'") from error
    # Every layer checks shapes, always right here, by asking the device for a number: slow, and nothing to record.
    os.environ.setdefault("TRANSFORMERS_DISABLE_TORCH_CHECK", "1")
    config = getattr(package, f"{library}Config")(**_settings(package, taps, points, setting))
    network = getattr(package, f"{library}ForObjectDetection")(config)
    # The backbone only told the widths of its maps; the heads are the decoder's under a second name.
    del network.model.backbone, network.class_embed, network.bbox_embed
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()  # to 1 and 0, as the authors do; for RT-DETR the library draws factors near 0
        for name in _CACHED:
            if function := getattr(module, name, None):
                # What is kept from a pass on fake tensors, or without gradients, breaks the next training.
                setattr(module, name, function.__wrapped__)
    return network


def _settings(package: Any, taps: Sequence[Tap], points: int, setting: DetectorSettings) -> dict[str, Any]:
    width, levels = setting.channels, len(taps)
    channels = [tap.channels for tap in taps]
    fresh = {
        "d_model": width,
        "encoder_hidden_dim": width,
        "encoder_attention_heads": width // _HEAD_WIDTH,
        "decoder_attention_heads": width // _HEAD_WIDTH,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        # The spread of a linear layer that nobody draws anew, as the authors leave most.
        "initializer_range": (3 * width) ** -0.5,
    }
    fixed = {
        "backbone_config": package.RTDetrResNetConfig(
            hidden_sizes=channels, depths=[1] * levels, out_indices=list(range(1, levels + 1))
        ),
        "freeze_backbone_batch_norms": False,
        "encoder_in_channels": channels,
        "decoder_in_channels": [width] * levels,
        "feat_strides": [tap.reduction for tap in taps],
        "encode_proj_layers": [levels - 1],
        "num_feature_levels": levels,
        "decoder_n_levels": levels,
        "decoder_layers": setting.decoder_layers,
        "num_queries": min(setting.queries, points),
        "num_labels": setting.classes,
    }
    return fresh | _fitting(setting, levels) | fixed


def _fitting(setting: DetectorSettings, levels: int) -> dict[str, Any]:
    """Return the settings of a pretrained detector that a new one of its width can share."""
    own = dict(setting.settings)
    if own.get("encoder_hidden_dim") != setting.channels:
        return {}
    if isinstance(own.get("decoder_n_points"), list) and len(own["decoder_n_points"]) != levels:
        del own["decoder_n_points"]
    if own.get("eval_idx", -1) >= setting.decoder_layers:
        del own["eval_idx"]
    return own
