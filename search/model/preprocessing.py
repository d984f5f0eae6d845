"""The preprocessing of images in words and formulas that another program can follow exactly."""

from __future__ import annotations

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
_METHODS = {"bilinear": "BILINEAR", "bicubic": "BICUBIC"}


def steps(preprocessing: ImagePreprocessing) -> str:
    """Return every step from an image file to the network's input, in Python's and Pillow's terms."""
    deep = ""
    if preprocessing.levels is not None:
        black, white = preprocessing.levels
        deep = f" Images of more than 8 bits are scaled first: {black:g} becomes 0, {white:g} becomes 255."
    method = _METHODS.get(preprocessing.interpolation, "BILINEAR")
    fitted = _FITS[preprocessing.fit].format(size=preprocessing.size, resize=preprocessing.resize)
    mean, std = list(preprocessing.mean), list(preprocessing.std)
    return (
        "Turn the image upright (EXIF orientation) and convert it to RGB. With width and height in pixels, "
        f"{fitted}. Resizing is Pillow's Image.resize(..., Image.Resampling.{method}), in 8 bits; round is Python's. "
        f"Divide by 255, subtract {mean}, divide by {std} (red, green, blue); the input is float32 (channels, height, "
        f"width).{deep}"
    )
