"""Images of a set: decoded once, kept in memory, augmented anew for every batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet, on which the weights were trained."""
KEPT = 256 / 224
"""The shorter side that is kept, as a multiple of the input size: what torchvision's weights expect."""
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


@dataclass(frozen=True)
class Images:
    """Decoded images ``(3, H, W)`` uint8 with their classes ``(N,)``."""

    pixels: list[Tensor]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __add__(self, other: Images) -> Images:
        return Images(self.pixels + other.pixels, torch.cat([self.labels, other.labels]))


def classes_of(folder: Path) -> list[str]:
    """Return the classes of a set in order: the folders of its training part."""
    return sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())


def files_of(folder: Path) -> list[Path]:
    """Return a class folder's image files in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def decode(path: Path, size: int) -> Tensor:
    """Return an image ``(3, H, W)`` uint8 whose shorter side is ``KEPT`` times ``size``."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    return F.pil_to_tensor(F.resize(image, [round(size * KEPT)], antialias=True))


def load(folder: Path, split: str, size: int) -> Images:
    """Return one part of a set."""
    pixels, labels = [], []
    for label, name in enumerate(classes_of(folder)):
        for path in files_of(folder / split / name):
            pixels.append(decode(path, size))
            labels.append(label)
    return Images(pixels, torch.tensor(labels))


def normalised(pixels: Tensor) -> Tensor:
    """Return pixels ``(N, 3, H, W)`` uint8 as the network expects them, channels last in memory."""
    mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in (MEAN, STD))
    return ((pixels.float() - mean) / std).contiguous(memory_format=torch.channels_last)


def centred(images: Sequence[Tensor], size: int) -> Tensor:
    """Return the centres of images, as one batch to look at."""
    return normalised(torch.stack([F.center_crop(image, [size, size]) for image in images]))


def light(size: int) -> v2.Transform:
    """Return the tutorial's augmentation, crops as small as a third of the image."""
    return v2.Compose([v2.RandomResizedCrop(size, scale=(0.35, 1.0), antialias=True), v2.RandomHorizontalFlip()])


def fastai_like(size: int) -> v2.Transform:
    """Return what fastai's ``aug_transforms(min_scale=0.75)`` does: crop, flip, turn, zoom, light."""
    return v2.Compose(
        [
            v2.RandomApply(
                [v2.RandomAffine(10, scale=(1.0, 1.1), interpolation=v2.InterpolationMode.BILINEAR)], p=0.75
            ),
            v2.RandomResizedCrop(size, scale=(0.75, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(brightness=0.2, contrast=0.2)], p=0.75),
        ]
    )


def batches(images: Images, augment: v2.Transform, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Return batches of ``size`` without end: epoch after epoch in a new order, the last, smaller one left out."""
    size = min(size, len(images))
    while True:
        order = torch.randperm(len(images))
        for start in range(0, len(order) - size + 1, size):
            chosen = order[start : start + size]
            yield normalised(torch.stack([augment(images.pixels[i]) for i in chosen])), images.labels[chosen]
