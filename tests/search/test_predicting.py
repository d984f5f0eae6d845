from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from search.data.cache import Frame as CacheFrame
from search.errors import DataError
from search.model_folder import Frame
from search.predicting import images_in, transform_of


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_the_transform_gives_what_validation_saw(size: tuple[int, int], interpolation: str) -> None:
    resize = (round(size[0] * 256 / 224), round(size[1] * 256 / 224))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    frame = Frame(size=size, resize=resize, mean=mean, std=std, interpolation=interpolation)
    transform = transform_of(frame)
    search = CacheFrame(size, resize, interpolation, whole=False)
    random = np.random.default_rng(0)
    for width, height in ((300, 200), (199, 333), (73, 73), (40, 31), (640, 481), (91, 1000)):
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        pixels = torch.from_numpy(search.render(image)).float()
        shape = (3, 1, 1)
        expected = (pixels - torch.tensor(mean).reshape(shape) * 255) / (torch.tensor(std).reshape(shape) * 255)
        assert torch.allclose(transform(image), expected, atol=1e-5), (width, height)


def test_a_folder_stands_for_all_images_below_it(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("b.JPG", "a/c.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in images_in(tmp_path)] == ["c.png", "b.JPG"]
    assert images_in(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(DataError, match="no image and no folder"):
        images_in(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in"):
        images_in(tmp_path / "empty")
