from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from search.data import masks
from search.data.augment import preset
from search.data.batches import Batches
from search.data.cache import Pixels
from search.data.images import FileImage
from search.data.masks import VOID, Grid, MaskFile, Masks, WholeFrame, grid_of, void_of
from search.data.sample import Sample, Split
from search.data.targets import Geometry

COLOURS = np.array([[20, 20, 20], [200, 30, 30], [30, 200, 30]], dtype=np.uint8)


def blocks(seed: int, side: int = 48) -> np.ndarray:
    """Return a mask of large blocks of three classes."""
    coarse = np.random.default_rng(seed).integers(0, 3, (4, 4))
    return np.kron(coarse, np.ones((side // 4, side // 4), dtype=np.int64)).astype(np.uint8)


def written(folder: Path, count: int = 6) -> list[Sample]:
    found = []
    for number in range(count):
        mask = blocks(number)
        Image.fromarray(COLOURS[mask]).save(folder / f"{number}.png")
        Image.fromarray(mask).save(folder / f"{number}_mask.png")
        target = MaskFile(
            folder / f"{number}_mask.png", ((0, 0), (1, 1), (2, 2)), ((0, 1), (1, 1), (2, 1)), str(number), mask.shape
        )
        found.append(Sample(FileImage(folder / f"{number}.png"), target, Split.TRAIN))
    return found


@pytest.mark.parametrize("strength", ["none", "light", "strong"])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_masks_move_exactly_as_their_images_do(tmp_path: Path, strength: str, size: tuple[int, int]) -> None:
    samples = written(tmp_path)
    frame = WholeFrame(size, (round(1.5 * size[0]), round(1.5 * size[1])), "bilinear", whole=True)
    images = torch.stack([torch.from_numpy(frame.render(sample.input.open())) for sample in samples])
    found = masks.decode(samples, frame, 3, "", None)
    batches = Batches(
        pixels=Pixels(images, found, torch.ones(len(samples))),
        batch_size=6,
        device=torch.device("cpu"),
        size=size,
        resize=frame.resize,
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
        # Without jitter, so that colours stay what they are.
        augmentation=replace(masks.whole(preset(strength, flip=True)), jitter=0.0),
    )
    seen = 0
    for epoch in (1, 2, 3):
        for pixels, targets in batches.epoch(epoch):
            assert isinstance(targets, Masks)
            assert targets.masks.shape == (6, *size)
            # Away from borders a pixel's colour says its class.
            around = torch.nn.functional.unfold(targets.masks[:, None].float(), 7)
            plain = around.amax(dim=1) == around.amin(dim=1)
            nearest = (pixels[:, None] - torch.from_numpy(COLOURS).float()[None, :, :, None, None]).abs().sum(dim=2)
            told = nearest.argmin(dim=1)[:, 3:-3, 3:-3].reshape(6, -1)
            inside = targets.masks[:, 3:-3, 3:-3].reshape(6, -1)
            assert (told == inside)[plain].all()
            seen += int(plain.sum())
    assert seen > 500


def test_a_flip_of_the_whole_image_is_a_flip_of_the_mask() -> None:
    mask = torch.arange(64, dtype=torch.uint8).reshape(1, 8, 8)
    whole = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    turned = Masks(mask).follow(Geometry(whole, torch.ones(1), (8, 8)))
    assert torch.equal(turned.masks, mask.flip(2))
    assert torch.equal(Masks(mask).follow(Geometry(whole, torch.zeros(1), (8, 8))).masks, mask)


def test_without_augmentation_the_whole_image_is_taken_whatever_its_shape() -> None:
    drawn = masks.whole(preset("none", flip=True)).draw(
        torch.tensor([0.5, 2.0]), (32, 64), (48, 96), torch.Generator().manual_seed(0)
    )
    assert drawn.boxes.tolist() == [[0.5, 0.5, 1.0, 1.0]] * 2
    assert masks.whole(preset("randaugment", flip=True)).operations == 0


@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16", "RGB"])
def test_a_value_is_read_as_it_is_stored(tmp_path: Path, mode: str) -> None:
    values = np.array([[0, 1], [1, 0]], dtype=np.uint8)
    if mode == "P":
        image = Image.fromarray(values)
        image.putpalette([0, 0, 0, 250, 128, 3])
    elif mode == "1":
        image = Image.fromarray(values.astype(bool))
    elif mode == "I;16":
        values = values.astype(np.uint16) * 999
        image = Image.fromarray(values)
    else:
        image = Image.fromarray(values if mode == "L" else np.stack([values] * 3, axis=-1))
    image.save(tmp_path / "mask.png")
    assert masks.read_values(tmp_path / "mask.png").tolist() == values.astype(int).tolist()


def test_a_colour_mask_is_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOURS[blocks(0)]).save(tmp_path / "mask.png")
    with pytest.raises(
        masks.ColouredError, match=r"a colour image \(RGB\) of \d+ colours; .*: say under `data:` `colours: FILE`"
    ):
        masks.read_values(tmp_path / "mask.png")
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    assert masks.few_colours(noise) == 0
    with pytest.raises(ValueError, match=r"a colour image \(RGB\); expected a palette or grey image") as told:
        masks.read_values(tmp_path / "photo.png")
    assert not isinstance(told.value, masks.ColouredError)


def test_a_survey_is_made_once_and_again_when_a_mask_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 3, 3]], dtype=np.uint8)).save(path)
    (found,) = masks.survey([path])
    assert (found.width, found.height, found.values) == (3, 1, ((0, 1), (3, 2)))
    with monkeypatch.context() as patched:
        patched.setattr(masks, "read_values", lambda path: pytest.fail("read twice"))
        assert masks.survey([path]) == [found]
    Image.fromarray(np.array([[5]], dtype=np.uint8)).save(path)
    assert masks.survey([path])[0].values == ((5, 1),)
    path.write_text("no image")
    assert masks.survey([path])[0].fault == "not an image, or of an unknown format"


@dataclass(frozen=True)
class Drawn:
    """A mask in memory."""

    values: tuple[tuple[int, ...], ...]
    pixels: tuple[tuple[int, int], ...] = ()
    digest: str = ""

    def open(self) -> np.ndarray:
        return np.array(self.values, dtype=np.int32)


@pytest.mark.parametrize(("classes", "kind"), [(3, torch.uint8), (254, torch.uint8), (300, torch.int16)])
def test_void_stays_void_in_whatever_type_the_classes_need(tmp_path: Path, classes: int, kind: torch.dtype) -> None:
    samples = [Sample(None, Drawn(((0, classes - 1), (VOID, 1))), Split.VAL)]  # type: ignore[arg-type]
    frame = WholeFrame((2, 2), (2, 2), "bilinear", whole=True)
    for folder in (None, tmp_path, tmp_path):
        found = masks.decode(samples, frame, classes, "name", folder)
        assert found.masks.dtype is kind
        assert found.masks.tolist() == [[[0, classes - 1], [void_of(found.masks), 1]]]
    assert found[:1].masks.shape == (1, 2, 2)
    assert found.to(torch.device("cpu")).index_select(0, torch.tensor([0, 0])).masks.shape == (2, 2, 2)


def test_the_size_is_that_of_the_image_as_it_is_seen(tmp_path: Path) -> None:
    image = Image.new("RGB", (6, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert masks.size_of(tmp_path / "turned.jpg") == (4, 6) == FileImage(tmp_path / "turned.jpg").open().size
    assert masks.size_of(tmp_path / "missing.jpg") is None


@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_a_mask_is_turned_as_its_file_says_like_any_image(tmp_path: Path, ending: str) -> None:
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(values).save(tmp_path / f"mask{ending}", exif=exif)
    found = masks.read_values(tmp_path / f"mask{ending}")
    assert (found == np.rot90(values, -1)).all()
    assert masks.size_of(tmp_path / f"mask{ending}") == found.shape[::-1]


@pytest.mark.parametrize(
    ("size", "classes", "step"),
    [
        ((512, 683), 150, 1),
        ((1024, 2048), 30, 1),
        ((2048, 2048), 2, 1),
        ((3000, 4000), 2, 3),
        ((3000, 4000), 21, 3),
        ((8192, 8192), 150, 13),
        ((1, 10**8), 2, 1),
    ],
)
def test_as_many_pixels_are_scored_as_there_is_time_for(size: tuple[int, int], classes: int, step: int) -> None:
    grid = grid_of(size, classes)
    assert grid.step == step
    assert grid.shape[0] * grid.shape[1] * classes <= masks.MOST_SCORES or step == 1


def test_a_grid_has_the_pixel_in_the_middle_of_every_square() -> None:
    values = np.arange(7 * 10).reshape(7, 10)
    assert Grid((7, 10), 3).of(values).tolist() == [[11, 14, 17], [41, 44, 47]]
    assert np.array_equal(Grid((7, 10)).of(values), values)
