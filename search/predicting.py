"""A finished model in use: its network, its transform, and what it says of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torchvision.transforms import v2

from search import model_folder
from search import spec as specs
from search.data.assembly import in_parallel
from search.data.images import EXTENSIONS, FileImage, why_broken
from search.errors import DataError, UserError
from search.model_folder import Frame, ModelFacts
from search.model_formats import model_format, model_formats
from search.tasks._base import Answer, Task
from search.training.precision import device_of
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.heads import Features, HeadChoice
from spaces.plain import Plain, blank, rebuild

_BATCH = 32
Transform = Any
"""Takes a PIL image in RGB, gives ``(3, H, W)`` float32."""


class Model(NamedTuple):
    """A model that is ready: ``network(transform(image)[None])`` gives its outputs.

    Attributes:
        network: in eval mode. From safetensors a plain module that can be trained on, else what its format gives.
        transform: torchvision's, as the network was validated with; None where the task takes no plain images.
        format: the format it was opened from.
        task: says what the outputs mean, ``task.answers(outputs, facts.classes, 5)``.
    """

    network: nn.Module
    transform: Transform
    facts: ModelFacts
    format: str
    task: Task


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one image, the surest first; ``broken`` is why it could not be read, else empty."""

    path: Path
    answers: tuple[Answer, ...] = ()
    broken: str = ""


class Cover(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Scales an image, its proportions kept, until it covers ``size`` (height, width)."""

    def __init__(self, size: tuple[int, int], interpolation: v2.InterpolationMode) -> None:
        super().__init__()
        self.size = size
        self.interpolation = interpolation

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        height, width = v2.functional.get_size(inpt)
        scale = max(self.size[0] / height, self.size[1] / width)
        scaled = [max(int(height * scale), self.size[0]), max(int(width * scale), self.size[1])]
        return v2.functional.resize(inpt, scaled, self.interpolation, antialias=True)

    def extra_repr(self) -> str:
        return f"size={self.size}, interpolation={self.interpolation}"


def transform_of(frame: Frame) -> Transform:
    """Return torchvision's transform for ``frame``: a PIL image in RGB -> ``(3, H, W)``, normalised."""
    return v2.Compose(
        [
            Cover(frame.resize, v2.InterpolationMode(frame.interpolation)),
            v2.CenterCrop(list(frame.size)),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(frame.mean), list(frame.std)),
        ]
    )


def task_of(name: str, options: Mapping[str, Any], facts: Mapping[str, Any]) -> Task:
    """Return the task of a finished model, with the options and facts that were kept with it.

    Raises:
        UserError: no such task here, or its options are of another version.
    """
    known = specs.tasks()
    if name not in known:
        raise UserError(f"the task {name!r} is not installed; known: {', '.join(known)}")
    task = known[name]
    try:
        chosen = TypeAdapter(task.options).validate_python(dict(options)) if task.options else None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"options of the task {name}: {place}: {fault['msg']}") from error
    return task.restore(chosen, facts)


def rebuilt(
    candidate: Candidate, pretrained: Pretrained, task: Task, classes: int, state: Mapping[str, Tensor], *, folded: bool
) -> Plain:
    """Return the candidate's network with the weights ``state``, its batch norms ``folded`` if these are."""
    head = partial(_head, task, classes)
    if not folded:
        return rebuild(candidate, pretrained, head, state, task.name)
    plain = rebuild(candidate, pretrained, head, task=task.name)
    plain.fold()
    return plain.load_named(state)


def _head(task: Task, classes: int, features: Features, choice: HeadChoice, decided: Mapping[str, Any]) -> nn.Module:
    return task.head(features, classes, choice, decided)


def load_model(folder: str | Path, *, format: str | None = None, device: str = "cpu") -> Model:  # noqa: A002
    """Return the model that ``ftsearch export`` wrote to ``folder``; all its files are checked first.

    Args:
        format: which of its files to open; by default the first that is there of safetensors, pt2, torchscript, onnx.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``; ``pt2`` and ``onnx`` are opened on the CPU.

    Raises:
        UserError: no model there, a file missing or damaged, a format that it was not exported in.
    """
    folder = Path(folder)
    facts = model_folder.read(folder)
    known = model_formats()
    there = sorted((name for name in facts.files if name in known), key=lambda name: known[name].rank)
    if format is not None and format not in there:
        given = "unknown format" if format not in known else "not exported as"
        raise UserError(f"{folder}: {given} {format!r}; it has {', '.join(facts.files)}")
    if not there:
        raise UserError(f"{folder} has none of the formats {', '.join(known)}; export the model again")
    chosen = model_format(format or there[0])
    network = chosen.open(folder / facts.files[chosen.name], partial(_rebuild, folder, facts))
    if chosen.moves:
        try:
            network = network.to(device_of(device))
        except ValueError as error:
            raise UserError(str(error)) from error
    task = task_of(facts.task, facts.task_options, facts.task_facts)
    return Model(network, transform_of(facts.frame) if facts.frame else None, facts, chosen.name, task)


def _rebuild(folder: Path, facts: ModelFacts, state: Mapping[str, Tensor]) -> nn.Module:
    candidate = Candidate.from_json(model_folder.read_candidate(folder))
    task = task_of(facts.task, facts.task_options, facts.task_facts)
    pretrained = blank(candidate, facts.base_size)
    return rebuilt(candidate, pretrained, task, len(facts.classes), state, folded=facts.folded)


@torch.inference_mode()
def outputs_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the network's outputs for ``inputs``, computed where its weights are, on the CPU in float32.

    Raises:
        UserError: they are not one tensor.
    """
    weight = next(iter(network.parameters()), None)
    outputs: Any = network(inputs if weight is None else inputs.to(weight.device))
    if not isinstance(outputs, Tensor):
        raise UserError(
            f"expected one tensor from the network, got {type(outputs).__name__}: such models are not exported yet"
        )
    return outputs.float().cpu()


def images_in(place: Path) -> list[Path]:
    """Return the image files that ``place``, a file or a folder with folders in it, stands for.

    Raises:
        DataError: there is nothing, or no image in it.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"no image and no folder at {place}")
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not found:
        raise DataError(f"no image in {place}; expected files that end in {', '.join(EXTENSIONS[:4])} ...")
    return found


def predict(model: Model, paths: Sequence[Path], most: int = 5) -> Iterator[Prediction]:
    """Yield what ``model`` says of every image, in order; a broken one is said to be so, and the others go on.

    Raises:
        UserError: the model takes no plain images, or its task does not say how outputs are read.
    """
    if model.transform is None:
        raise UserError(f"this model is of the task {model.facts.task}, which takes no plain images; see load_model")
    for start in range(0, len(paths), _BATCH):
        group = paths[start : start + _BATCH]
        found = in_parallel(partial(_read, model.transform), group)
        inputs = [read for read in found if isinstance(read, Tensor)]
        said: list[tuple[Answer, ...]] = []
        if inputs:
            outputs = outputs_of(model.network, torch.stack(inputs))
            said = model.task.answers(outputs, model.facts.classes, most, model.facts.temperature)
        answers = iter(said)
        for path, read in zip(group, found, strict=True):
            yield Prediction(path, broken=read) if isinstance(read, str) else Prediction(path, next(answers))


def _read(transform: Transform, path: Path) -> Tensor | str:
    """Return the image as the network takes it, or why it cannot be read."""
    image = FileImage(path)
    try:
        found: Tensor = transform(image.open())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return why_broken(image) or str(error) or type(error).__name__
    return found
