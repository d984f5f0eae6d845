"""Look at a folder of images and write a commented study file for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SECTION, ORDER = "Search", 0

_TEMPLATE = """\
# Study file for {folder}
# Look at what it would do:  ftsearch plan {file}
# Run it:                    ftsearch run {file}
# Every key and its meaning: ftsearch schema

name: {name}

data:
  format: image_folder
  path: {path}{split}
  on_error: refuse         # skip: leave broken images out, and list them

backbone: {backbone}   # ftsearch backbones lists all
weights: default           # the best that this machine has, else downloaded; none: from scratch
input_size: {size}

space:                     # decisions that are not named keep the plain recipe's value
  freeze: {{}}               # first 0..all units keep their weights; {{low: 2, high: 10}} narrows it
  tail: {{}}                 # last 0..a third of the units are dropped
  kernel: {{sizes: [3, 5]}}
  stride: {{}}
  head: {{hidden: 2, widths: [128, 256, 512]}}
  dropout: {{head: 0.5}}
  penalty: {{kinds: [none, l1, l2]}}
  optimizer: {{}}

training:
  epochs: {epochs}
  batch_size: 32
  augmentation: light      # none, light, medium, strong
  flip: true               # false for digits, letters, anything that is not the same when mirrored

search:
  trials: 30
  # timeout: 2h
  pruner: median           # median, halving, none
  seed: 0

objective: {objective}      # accuracy, balanced_accuracy, macro_f1, loss
"""


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="DATA_DIR", help="A folder per class, or train/ and val/ with such folders.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.yaml", help="FOLDER.yaml here by default.")
    ] = None,
    backbone: Annotated[str, typer.Option(help="The pretrained network.")] = "mobilenet_v2",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the study file if it exists.")] = False,
) -> None:
    import re
    from collections import Counter

    from search.cli._console import console
    from search.data.formats.image_folder import Options
    from search.data.formats.image_folder import format as image_folder
    from search.data.sample import Split
    from search.errors import UserError
    from spaces import backbones

    dataset = image_folder.read(Options(str(folder.absolute()), on_error="skip"), Path.cwd())
    found = backbones.resolve(backbone)
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.absolute().name).strip("-.") or "study"
    path = output or Path(f"{name}.yaml")
    if path.exists() and not force:
        raise UserError(f"{path} exists; name another file with -o, or overwrite it with --force")
    counts = Counter(sample.target for sample in dataset.of(Split.TRAIN))
    uneven = max(counts.values()) > 2 * min(counts.values())
    has_val = any((folder / part).is_dir() for part in ("val", "valid", "validation"))
    text = _TEMPLATE.format(
        folder=folder,
        file=path,
        name=name,
        path=folder.absolute(),
        split="" if has_val else "\n  val_share: 0.2           # cut from the images, the same share of every class",
        backbone=backbone,
        size=found.preprocessing.crop,
        epochs=5 if len(dataset.of(Split.TRAIN)) > 1000 else 8,
        objective="balanced_accuracy" if uneven else "accuracy",
    )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; name another file with -o") from error
    screen = console()
    sizes = ", ".join(f"{sum(sample.split is split for sample in dataset.samples)} {split}" for split in Split)
    screen.print(f"{dataset.name}: {len(dataset.classes)} classes ({sizes} images)", soft_wrap=True)
    for line in dataset.skipped:
        screen.print(f"cannot be read: {line}", style="yellow", markup=False, soft_wrap=True)
    screen.print(f"Wrote {path}. [bold]Next:[/bold] ftsearch plan {path}", soft_wrap=True)
