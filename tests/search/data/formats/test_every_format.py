"""The same data in another order, under other names, exported again: every sample keeps its own target everywhere."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from search.data import cache, masks
from search.data.boxes import BoxTarget
from search.data.sample import Dataset, Split
from search.errors import DataError
from search.spec import load as specs

COUNT, TRAINED = 24, 16
SIZE = (16, 12)
CLASSES = ("bee", "wasp")
FIXED = {"digits", "torchvision"}
"""Formats whose data nobody can sort or rename."""


@dataclass(frozen=True)
class Export:
    """How the same items are written: the name of every item, and the order in which they are listed."""

    folder: Path
    names: Sequence[str]
    order: Sequence[int]

    def photograph(self, place: str, number: int) -> str:
        """Write the photograph of an item, of its own brightness, and return its address."""
        path = self.folder / place / f"{self.names[number]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (10 * number, 255 - 10 * number, number)).save(path)
        return str(path.relative_to(self.folder))

    def text(self, place: str, lines: Sequence[str]) -> None:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


def part(number: int) -> str:
    return "train" if number < TRAINED else "val"


def box(number: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels."""
    return (number % 8, number % 5, number % 8 + 4 + number % 3, number % 5 + 6)


def image_folder(export: Export) -> dict[str, Any]:
    for number in export.order:
        export.photograph(f"{part(number)}/{CLASSES[number % 2]}", number)
    return {"path": "."}


def rows_of(export: Export, header: str, row: Callable[[int], str]) -> dict[str, Any]:
    lines = [f"{export.photograph('photographs', n)},{row(n)},{part(n)}" for n in export.order]
    export.text("t.csv", [f"path,{header},split", *lines])
    return {"path": "t.csv"}


def csv(export: Export) -> dict[str, Any]:
    return rows_of(export, "label", lambda number: CLASSES[number % 2])


def csv_labels(export: Export) -> dict[str, Any]:
    return rows_of(export, "labels", lambda number: ";".join(CLASSES[: number % 3]))


def csv_numbers(export: Export) -> dict[str, Any]:
    return rows_of(export, "target", lambda number: str(number / 8))


def csv_boxes(export: Export) -> dict[str, Any]:
    def row(number: int) -> str:
        return ",".join(map(str, (CLASSES[number % 2], *box(number))))

    return rows_of(export, "class,xmin,ymin,xmax,ymax", row) | {"path_column": "path"}


def coco_tables(export: Export, outline: Callable[[int], dict[str, Any]]) -> None:
    """Write one file a part, with ids that follow the order of the export."""
    for split in ("train", "val"):
        numbers = [number for number in export.order if part(number) == split]
        export.photograph(split, numbers[0])
        images = [
            {"id": 5 * place, "file_name": Path(export.photograph(split, number)).name, "width": 16, "height": 12}
            for place, number in enumerate(numbers)
        ]
        shapes = [
            {"id": place, "image_id": 5 * place, "category_id": number % 2, **outline(number)}
            for place, number in enumerate(numbers)
        ]
        categories = [{"id": 0, "name": "bee"}, {"id": 1, "name": "wasp"}]
        data = {"images": images[::-1], "annotations": shapes, "categories": categories}
        export.text(f"{split}/_annotations.coco.json", [json.dumps(data)])


def coco(export: Export) -> dict[str, Any]:
    def outline(number: int) -> dict[str, Any]:
        left, top, right, bottom = box(number)
        return {"bbox": [left, top, right - left, bottom - top]}

    coco_tables(export, outline)
    return {"path": "."}


def coco_masks(export: Export) -> dict[str, Any]:
    def outline(number: int) -> dict[str, Any]:
        left, top, right, bottom = box(number)
        return {"segmentation": [[left, top, right, top, right, bottom, left, bottom]]}

    pytest.importorskip("faster_coco_eval")
    coco_tables(export, outline)
    return {"path": "train/_annotations.coco.json", "val": "val/_annotations.coco.json"}


def mask_folder(export: Export) -> dict[str, Any]:
    for number in export.order:
        export.photograph(f"{part(number)}/images", number)
        values = np.zeros(SIZE[::-1], dtype=np.uint8)
        left, top, right, bottom = box(number)
        values[top:bottom, left:right] = 1 + number % 2
        beside = export.folder / part(number) / "masks"
        beside.mkdir(exist_ok=True)
        Image.fromarray(values).save(beside / f"{export.names[number]}.png")
    return {"path": "."}


def voc(export: Export) -> dict[str, Any]:
    for number in export.order:
        export.photograph("JPEGImages", number)
        sides = zip(("xmin", "ymin", "xmax", "ymax"), box(number), strict=True)
        corners = "".join(f"<{name}>{side}</{name}>" for name, side in sides)
        shape = f"<object><name>{CLASSES[number % 2]}</name><bndbox>{corners}</bndbox></object>"
        export.text(f"Annotations/{export.names[number]}.xml", [f"<annotation>{shape}</annotation>"])
    for split in ("train", "val"):
        lines = [export.names[number] for number in export.order if part(number) == split]
        export.text(f"ImageSets/Main/{split}.txt", lines)
    return {"path": "."}


def yolo(export: Export) -> dict[str, Any]:
    for number in export.order:
        export.photograph(f"images/{part(number)}", number)
        left, top, right, bottom = box(number)
        centre = f"{(left + right) / 2 / SIZE[0]} {(top + bottom) / 2 / SIZE[1]}"
        line = f"{number % 2} {centre} {(right - left) / SIZE[0]} {(bottom - top) / SIZE[1]}"
        export.text(f"labels/{part(number)}/{export.names[number]}.txt", [line])
    export.text("data.yaml", ["train: images/train", "val: images/val", f"names: [{', '.join(CLASSES)}]"])
    return {"path": "."}


def words_of(number: int) -> list[str]:
    return [f"word{number}", *["and"] * (number % 4), CLASSES[number % 2]]


def texts_of(export: Export, header: str, row: Callable[[int], str]) -> dict[str, Any]:
    lines = [f"{' '.join(words_of(number))},{row(number)},{part(number)}" for number in export.order]
    export.text("t.csv", [f"text,{header},split", *lines])
    return {"path": "t.csv"}


def text_table(export: Export) -> dict[str, Any]:
    return texts_of(export, "label", lambda number: CLASSES[number % 2])


def text_labels(export: Export) -> dict[str, Any]:
    return texts_of(export, "labels", lambda number: ";".join(CLASSES[: number % 3]))


def text_numbers(export: Export) -> dict[str, Any]:
    return texts_of(export, "score", lambda number: str(number / 8))


def conll(export: Export) -> dict[str, Any]:
    for split in ("train", "dev"):
        numbers = [number for number in export.order if part(number) == split.replace("dev", "val")]
        sentences = [zip(words_of(number), tags_of(number), strict=True) for number in numbers]
        export.text(f"{split}.conll", ["\n".join(map(" ".join, sentence)) + "\n" for sentence in sentences])
    return {"path": "."}


def tags_of(number: int) -> list[str]:
    return ["O" if word == "and" else f"B-{number % 2}" for word in words_of(number)]


def hub(export: Export, columns: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    library = pytest.importorskip("datasets")
    parts = {
        split: library.Dataset.from_list([columns(number) for number in export.order if part(number) == split])
        for split in ("train", "val")
    }
    library.DatasetDict(parts).save_to_disk(str(export.folder))
    return {"dataset": "."}


def hf_text(export: Export) -> dict[str, Any]:
    return hub(export, lambda number: {"text": " ".join(words_of(number)), "label": CLASSES[number % 2]})


def hf_tokens(export: Export) -> dict[str, Any]:
    return hub(export, lambda number: {"tokens": words_of(number), "ner_tags": tags_of(number)})


WRITERS = {
    writer.__name__: writer
    for writer in (
        *(image_folder, csv, csv_labels, csv_numbers, csv_boxes, coco, coco_masks, mask_folder, voc, yolo),
        *(text_table, text_labels, text_numbers, conll, hf_text, hf_tokens),
    )
}
SHUFFLED = random.Random(3).sample(range(COUNT), COUNT)
EXPORTS = {
    "as it is": ([f"{number:02d}" for number in range(COUNT)], range(COUNT)),
    "another order": ([f"{number:02d}" for number in range(COUNT)], SHUFFLED),
    "other names": ([f"{SHUFFLED[number]:02d}" for number in range(COUNT)], range(COUNT)),
    "names that sort backwards": ([f"é {99 - number} (v1.5)" for number in range(COUNT)], SHUFFLED[::-1]),
}


def read(writer: Callable[[Export], dict[str, Any]], folder: Path, export: str) -> Dataset:
    folder.mkdir()
    plugin = specs.formats()[writer.__name__]
    return plugin.read(plugin.options(**writer(Export(folder, *EXPORTS[export]))), folder)


def told(target: Any) -> Any:
    """Return a target in a form that says what it means, whatever file it was read from."""
    if hasattr(target, "open"):
        return target.open().tolist()
    return sorted(map(repr, target.boxes)) if isinstance(target, BoxTarget) else target


def meant(dataset: Dataset) -> dict[bytes, tuple[Any, Split]]:
    found = {sample.input.digest(): (told(sample.target), sample.split) for sample in dataset.samples}
    assert len(found) == len(dataset.samples)
    return found


def test_every_format_is_tried() -> None:
    own = {name for name, plugin in specs.formats().items() if type(plugin).__module__.startswith("search.")}
    assert own == set(WRITERS) | FIXED


@pytest.mark.parametrize("export", [name for name in EXPORTS if name != "as it is"])
@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_every_row_keeps_its_target(writer: Callable[[Export], dict[str, Any]], export: str, tmp_path: Path) -> None:
    first, other = read(writer, tmp_path / "first", "as it is"), read(writer, tmp_path / "other", export)
    assert len(first.samples) == COUNT
    assert meant(first) == meant(other)
    assert first.fingerprint == other.fingerprint
    # Equal fingerprints promise equal places: whatever is stored by position may be taken by the other one.
    for one, two in zip(first.samples, other.samples, strict=True):
        assert one.input.digest() == two.input.digest()
        assert told(one.target) == told(two.target)


IMAGES = [name for name in WRITERS if not name.startswith(("text", "conll", "hf"))]


@pytest.mark.parametrize("name", IMAGES)
def test_what_one_export_stored_is_right_for_the_other(name: str, tmp_path: Path) -> None:
    """The cache of decoded images and masks, written for one export and read for the other."""
    frame = masks.WholeFrame(SIZE[::-1], SIZE[::-1], "bilinear", whole=True)
    for export in EXPORTS:
        dataset = read(WRITERS[name], tmp_path / export, export)
        for split in (Split.TRAIN, Split.VAL):
            samples = dataset.of(split)
            key, targets = f"{dataset.fingerprint}-{split}", torch.arange(len(samples))
            stored = cache.decode(samples, frame, key, tmp_path / "cache", targets=targets)
            for row, sample in zip(stored.images.numpy(), samples, strict=True):
                assert (row == frame.render(sample.input.open())).all()
            if hasattr(samples[0].target, "open"):
                rows = masks.decode(samples, frame, 3, key, tmp_path / "cache").masks
                for row, sample in zip(rows.numpy(), samples, strict=True):
                    wanted = sample.target.open()
                    assert (np.where(wanted == masks.VOID, 255, wanted) == row).all()
    assert len(list((tmp_path / "cache").glob("*.npy"))) == (4 if "mask" in name else 2)


def test_copies_of_an_image_keep_their_own_targets(tmp_path: Path) -> None:
    """The same picture under two labels: lines of equal content are distinguished by what they mean."""
    export = Export(tmp_path, *EXPORTS["as it is"])
    names = [export.photograph("photographs", number) for number in range(4)]
    Image.open(tmp_path / names[0]).save(tmp_path / "copy.png")
    rows = [f"{name},{number}.5,{'val' if number == 3 else 'train'}" for number, name in enumerate(names)]
    for place, lines in enumerate(([*rows, "copy.png,7,train"], ["copy.png,7,train", *rows[::-1]])):
        export.text(f"{place}.csv", ["path,target,split", *lines])
    plugin = specs.formats()["csv_numbers"]
    one, two = (plugin.read(plugin.options(f"{place}.csv"), tmp_path) for place in (0, 1))
    assert [sample.target for sample in one.samples] == [sample.target for sample in two.samples]
    assert one.fingerprint == two.fingerprint


SYSTEM = (
    "@eaDir/{0}/SYNOPHOTO_THUMB_M.png",
    ".ipynb_checkpoints/{0}-checkpoint.png",
    "__MACOSX/._{0}.png",
    "._{0}.png",
)


@pytest.mark.parametrize("name", ["image_folder", "mask_folder", "voc", "yolo", "coco"])
def test_no_file_of_the_system_becomes_a_sample(name: str, tmp_path: Path) -> None:
    clean = read(WRITERS[name], tmp_path / "clean", "as it is")
    dirty = tmp_path / "dirty"
    read(WRITERS[name], dirty, "as it is")
    for file in [file for ending in ("png", "xml", "txt", "json") for file in sorted(dirty.rglob(f"*.{ending}"))]:
        for pattern in SYSTEM:
            copy = file.parent / pattern.replace(".png", file.suffix).format(file.stem)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    plugin = specs.formats()[name]
    found = plugin.read(plugin.options("."), dirty)
    assert meant(found) == meant(clean)
    assert found.fingerprint == clean.fingerprint
    is_listed = name in ("voc", "coco")  # by ImageSets or in a table: nothing else is looked at
    assert any("in hidden or system folders ignored" in line for line in found.notes) is not is_listed


def test_endings_that_are_not_read_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    read(image_folder, folder, "as it is")
    (folder / "train" / "bee" / "one.heic").touch()
    (folder / "val" / "wasp" / "two.heic").touch()
    plugin = specs.formats()["image_folder"]
    assert plugin.read(plugin.options("."), folder).notes == ("2 files with other extensions not read: 2 .heic",)
    (folder / "train" / "ant").mkdir()
    (folder / "train" / "ant" / "one.heic").touch()
    with pytest.raises(DataError, match=r"ant has no image.*\(1 file with other extensions not read: 1 \.heic\)"):
        plugin.read(plugin.options("."), folder)


def test_an_archive_made_on_a_mac_is_read(tmp_path: Path) -> None:
    """``__MACOSX`` sorts before ``annotations`` and holds files of the same names that are not JSON."""
    folder = tmp_path / "data"
    read(coco, folder, "as it is")
    for split in ("train", "val"):
        (folder / "__MACOSX").mkdir(exist_ok=True)
        (folder / "__MACOSX" / f"._instances_{split}.json").write_bytes(b"\x00\x05\x16\x07Mac OS X")
        (folder / split / "._annotations.coco.json").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    plugin = specs.formats()["coco"]
    assert len(plugin.read(plugin.options("."), folder).samples) == COUNT


@pytest.mark.parametrize("name", ["voc", "yolo", "coco", "mask_folder", "image_folder", "text_table", "conll"])
def test_the_first_faults_are_named_where_nothing_is_left(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    read(WRITERS[name], folder, "as it is")
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".png" and name in ("image_folder", "mask_folder"):
            file.write_text("no image")
        elif name == "yolo" and file.suffix == ".txt":
            file.write_text("9 0.5 0.5 0.1 0.1\n")
        elif file.suffix == ".xml":
            file.write_text(file.read_text().replace("<xmin>", "<left>").replace("</xmin>", "</left>"))
        elif file.suffix == ".json":
            file.write_text(file.read_text().replace('"bbox"', '"box"'))
        elif file.suffix == ".csv":
            file.write_text(file.read_text().replace(",bee,", ",,").replace(",wasp,", ",,"))
        elif file.suffix == ".conll":
            file.write_text(file.read_text().replace(" ", ""))
    plugin = specs.formats()[name]
    path = "t.csv" if name == "text_table" else "."
    with pytest.raises(DataError) as caught:
        plugin.load(
            plugin.options(path, on_error="skip")
            if name not in ("text_table", "conll")
            else plugin.options(path=path, on_error="skip"),
            folder,
        )
    text = str(caught.value)
    wanted = {
        "voc": r"no image has a box\. 24 faults were left out: 00\.xml, object 1: needs a `bndbox`.*; and 21 more",
        "yolo": r"no image has a box\. 24 faults were left out: .*00\.txt, line 1: unknown class 'number 9'",
        "coco": r"no image has a box\. 24 faults were left out: .*json, annotations\[0\]: needs an `image_id`",
        "mask_folder": r"none of the 24 images can be used; the first: .*00\.png: cannot read the mask ",
        "image_folder": r"no class found.*24 faults were left out: .*\.png: not an image",
        "text_table": r"no class found.*24 faults were left out: .*t\.csv, line 2: the column 'label' is empty",
        "conll": r"0 tags found.*24 faults were left out: .*train\.conll, line 1: the word 'word0B-0' has no tag",
    }
    assert re.search(wanted[name], text), text
    assert "\n" not in text
