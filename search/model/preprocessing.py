"""The preprocessing of images in words and formulas that another program can follow exactly."""

from __future__ import annotations

from search.data.decoding import LARGE
from search.model.folder import ImagePreprocessing

_FITS = {
    "crop": (
        "s = max({resize[0]} / height, {resize[1]} / width); resize to max(int(s * width), {size[1]}) x "
        "max(int(s * height), {size[0]}) pixels (width x height, rounded down); cut out {size[1]}x{size[0]} with the "
        "left edge at round((scaled_width - {size[1]}) / 2) and the top edge at round((scaled_height - {size[0]}) / 2)"
    ),
    "stretch": "resize the whole image to {size[1]} x {size[0]} pixels (width x height), proportions not kept",
    "letterbox": (
        "s = min({size[1]} / width, {size[0]} / height); resize to max(round(s * width), 1) x max(round(s * height), 1)"
        " pixels (width x height); paste it on grey (114, 114, 114) of {size[1]}x{size[0]} with the left edge at "
        "({size[1]} - scaled_width) // 2 and the top edge at ({size[0]} - scaled_height) // 2"
    ),
}
_BACK = {
    "crop": "((x * {size[1]} + left) * width / scaled_width, (y * {size[0]} + top) * height / scaled_height)",
    "stretch": "(x * width, y * height)",
    "letterbox": "((x * {size[1]} - left) * width / scaled_width, (y * {size[0]} - top) * height / scaled_height)",
}
"""Where a point of the input is in the image; ``left`` and ``top`` are the edges that ``_FITS`` gives."""
_METHODS = {"bilinear": "BILINEAR", "bicubic": "BICUBIC"}


def steps(preprocessing: ImagePreprocessing) -> str:
    """Return every step from an image file to the network's input, in Python's and Pillow's terms."""
    black, white = preprocessing.levels or (0.0, 65535.0)
    deep = "Images of more than 8 bits" if preprocessing.levels is not None else "Images of 16 bits"
    method = _METHODS.get(preprocessing.interpolation, "BILINEAR")
    fitted = _FITS[preprocessing.fit].format(size=preprocessing.size, resize=preprocessing.resize)
    back = _BACK[preprocessing.fit].format(size=preprocessing.size)
    mean, std = list(preprocessing.mean), list(preprocessing.std)
    return (
        "Turn the image upright (EXIF orientation) and convert it to RGB. With width and height in pixels, "
        f"{fitted}. Resizing is Pillow's Image.resize(..., Image.Resampling.{method}), in 8 bits; round is Python's. "
        f"Divide by 255, subtract {mean}, divide by {std} (red, green, blue); the input is float32 (channels, height, "
        f"width). {deep} are scaled first: {black:g} becomes 0, {white:g} becomes 255, what is between or beyond them "
        f"is rounded and limited to 0 to 255. Pictures of more than {LARGE} pixels are reduced first, by the smallest "
        "whole factor that brings them down to that (Image.reduce; of a JPEG, as far as it goes, Image.draft). "
        f"A point (x, y) of the input, in shares of its width and height, is at {back} in pixels of the upright image."
    )
