"""Predictions of a finished model for images or texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from search.data.texts import Text, Words
from search.errors import UserError
from search.model import folder as model_folder
from search.model.folder import ModelFacts
from search.model.formats import model_format, model_formats
from search.model.inputs import Inputs, Item, Ready, Transform, inputs_of
from search.spec.candidates import read_candidate
from search.tasks import tasks
from search.tasks._base import Task
from search.tasks._prediction import Prediction, PredictOptions, ScoredLabel
from search.training.precision import device_of
from spaces.backbones._base import Pretrained, weightless
from spaces.candidate import Candidate
from spaces.errors import first_line
from spaces.networks import branches
from spaces.networks.inference import InferenceNetwork, blank, outline, rebuild

_BATCH, _LARGE_BATCH = 32, 8


class Model(NamedTuple):
    """A model that is ready: ``network(transform(image)[None])`` gives its outputs, ``predicted`` what they mean.

    Attributes:
        network: in eval mode. From safetensors a plain module that can be trained on, else what its format gives.
        transform: torchvision's, as the network was validated with; for texts, which come as a string, a pair of them
            or a list of words, the tokenizer. None where the task takes neither.
        format: the format it was opened from.
        task: says what the outputs mean.
    """

    network: nn.Module
    transform: Transform
    facts: ModelFacts
    format: str
    task: Task
    inputs: Inputs | None = None

    def predicted(
        self, outputs: Any, originals: Sequence[Any], *, most: int | None = None, threshold: float | None = None
    ) -> list[Prediction]:
        """Return the predictions in the network's ``outputs`` for ``originals``, PIL images or texts, in their order.

        Boxes and masks are in pixels of the originals.

        Raises:
            UserError: the task takes neither images nor texts, or the outputs are not what it gives.
        """
        given = [_inputs(self).given(original) for original in originals]
        wanted = PredictOptions(most, threshold, self.facts.temperature)
        return self.task.predicted(self.task.read(outputs), self.facts.classes, given, wanted)


@dataclass(frozen=True, slots=True)
class PredictedItem:
    """The prediction for one input; ``broken`` is why it could not be read, else empty."""

    source: Item
    predicted: Prediction = field(default_factory=Prediction)
    broken: str = ""

    @property
    def answers(self) -> tuple[ScoredLabel, ...]:
        """Classes or numbers, the surest first."""
        return self.predicted.answers

    @property
    def name(self) -> str:
        """The path of an image, or the place of a text."""
        return self.source.place if isinstance(self.source, Text | Words) else str(self.source)


_LOST = "the model's outputs for it are not finite numbers"


def task_of(name: str, options: Mapping[str, Any], facts: Mapping[str, Any]) -> Task:
    """Return the task of a finished model, with the options and facts that were kept with it.

    Raises:
        UserError: no such task here, or its options or facts are of another version.
    """
    known = tasks()
    if name not in known:
        raise UserError(f"the task {name!r} is not installed; known: {', '.join(known)}")
    task = known[name]
    try:
        chosen = TypeAdapter(task.options).validate_python(dict(options)) if task.options else None
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"options of the task {name}: {key}: {fault['msg']}") from error
    try:
        return task.restore(chosen, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"the task {name} cannot be restored: what was kept of it is incomplete or of another form ({error!r}); "
            "export the model again"
        ) from error


def rebuilt(
    candidate: Candidate, pretrained: Pretrained, task: Task, classes: int, state: Mapping[str, Tensor], *, folded: bool
) -> InferenceNetwork:
    """Return the candidate's network with the weights ``state``, its batch norms ``folded`` if these are."""
    plain = rebuild(candidate, pretrained, task.head_for(classes), task=task.name)
    if folded:
        plain.fold()
    return branches.around(plain, state).load_named(state)


def load_model(
    folder: str | Path,
    *,
    format: str | None = None,  # noqa: A002
    device: str = "cpu",
    trust: bool = False,
) -> Model:
    """Return the model that ``ftsearch export`` wrote to ``folder``; all its files are checked first.

    Args:
        format: which of its files to open; by default the first that is there of safetensors, pt2, onnx.
        device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``; ``pt2`` and ``onnx`` are opened on the CPU.
        trust: also open formats that can run code from whoever made the file, such as ``pt2``. Checksums do not help:
            they have the same author.

    Raises:
        UserError: no model there, a file missing or damaged, a format that it was not exported in or that needs trust.
    """
    folder = Path(folder)
    facts = model_folder.read(folder)
    chosen = model_format(_chosen(folder, facts, format, trust=trust))
    task = task_of(facts.task, facts.task_options, facts.task_facts).fetch(folder)
    network = chosen.open(folder / facts.files[chosen.name], partial(_rebuild, folder, facts))
    if chosen.moves:
        try:
            network = network.to(device_of(device))
        except ValueError as error:
            raise UserError(str(error)) from error
    inputs = inputs_of(facts, task)
    return Model(network, inputs.transform if inputs else None, facts, chosen.name, task, inputs)


def _chosen(folder: Path, facts: ModelFacts, wanted: str | None, *, trust: bool) -> str:
    """Return the name of the format to open: the one that is ``wanted``, or the first that is there and harmless.

    Raises:
        UserError: there is none, or it would run code and is not trusted.
    """
    known = model_formats()
    there = sorted((name for name in facts.files if name in known), key=lambda name: known[name].rank)
    if not there:
        has = f"holds only {', '.join(facts.files)}" if facts.files else "holds no file of a network"
        raise UserError(f"{folder} {has}; this version opens {', '.join(known)}: export the model again")
    if wanted is not None and wanted not in there:
        wrong = "not exported as" if wanted in known else "unknown format"
        wrong = "this version no longer opens" if wanted in facts.files else wrong
        raise UserError(f"{folder}: {wrong} {wanted!r}; it has {', '.join(there)}")
    there = [wanted] if wanted is not None else there
    allowed = [name for name in there if trust or not known[name].runs_code]
    if not allowed:
        raise UserError(
            f"{folder}: opening {facts.files[there[0]]} can run any code its maker put there; if you trust them, open "
            "it with --trust (trust=True in Python), else ask them for safetensors or onnx"
        )
    return allowed[0]


def _rebuild(folder: Path, facts: ModelFacts, state: Mapping[str, Tensor]) -> nn.Module:
    return network_in(folder, facts, read_candidate(folder), state)


def network_in(folder: Path, facts: ModelFacts, candidate: Candidate, state: Mapping[str, Tensor]) -> nn.Module:
    """Return the candidate's network around the weights ``state``, from what is kept in ``folder`` alone.

    Raises:
        BackboneError: its backbone is not known here, nor described in the folder.
        WeightsError: the weights are of another candidate.
        UserError: it cannot be built, for want of memory for example.
    """
    task = task_of(facts.task, facts.task_options, facts.task_facts)
    if facts.texts is not None:  # described beside the tokenizer: the backbone's own place may be far away
        described = replace(candidate.structure, backbone=f"transformers:{folder / facts.texts.folder}")
        candidate = replace(candidate, structure=described)
    make = partial(rebuilt, candidate, task=task, classes=len(facts.classes), state=state, folded=facts.folded)
    # Compared without memory for weights first: what a stranger's candidate names may take minutes and gigabytes.
    with weightless(), suppress(RuntimeError):  # of a network that computes with its weights while it is built
        make(outline(candidate, facts.base_size))
    try:
        return make(blank(candidate, facts.base_size))
    except (MemoryError, RuntimeError) as error:  # what a candidate of others asks for may not fit into memory
        reason = first_line(error)
        raise UserError(f"{folder}: its network cannot be built here: {reason}") from error


@contextmanager
def _as_expected(model: Model) -> Iterator[None]:
    """Turn what a task raises over outputs of a graph, which may compute anything, into one line.

    Raises:
        UserError: the outputs are not what the task gives.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        if model.format == "safetensors":  # its network is the task's own
            raise
        reason = first_line(error)
        raise UserError(
            f"the {model.format} file does not give what the task {model.facts.task} gives ({reason}); export the "
            "model again"
        ) from error


@torch.inference_mode()
def outputs_of(network: nn.Module, inputs: Tensor) -> Any:
    """Return the network's outputs for ``inputs``, computed where its weights are."""
    weight = next(iter(network.parameters()), None)
    return network(inputs if weight is None else inputs.to(weight.device))


def _inputs(model: Model) -> Inputs:
    if model.inputs is None:
        raise UserError(
            f"this model's task is {model.facts.task}, which takes neither plain images nor texts; see load_model"
        )
    return model.inputs


def items_in(model: Model, place: Path, text_column: str = "", pair_column: str = "") -> list[Item]:
    """Return the inputs that ``place`` stands for: an image, a folder of them, or a file of texts.

    Args:
        text_column, pair_column: of a table of texts, where they are not called as the study's data call them.

    Raises:
        DataError: there are none, or it is of another kind than the model takes.
    """
    return _inputs(model).listed(place, text_column, pair_column)


def predict(
    model: Model, items: Sequence[Item], most: int | None = None, threshold: float | None = None
) -> Iterator[PredictedItem]:
    """Yield the prediction for every item, in order; a broken item is reported and the rest continue.

    Args:
        items: paths of images, or texts, as ``items_in`` lists them.
        most: answers or boxes of each; ``threshold`` the score below which they are left out. None leaves both to the
            task.

    Raises:
        UserError: the model takes neither images nor texts, or its task does not say how outputs are read.
    """
    inputs, wanted = _inputs(model), PredictOptions(most, threshold, model.facts.temperature)
    step = _LARGE_BATCH if model.task.predicts == "masks" else _BATCH
    for start in range(0, len(items), step):
        group = items[start : start + step]
        prepared = inputs.read(group)
        ready = [read for read in prepared if isinstance(read, Ready)]
        predicted: list[Prediction] = []
        lost: Iterator[bool] = iter(())
        if ready:
            batch = inputs.batch([read.inputs for read in ready])
            outputs = _outputs(model, batch)
            given = [read.given for read in ready]
            with _as_expected(model):
                plain = model.task.read(outputs)
                without = _no_numbers(plain, len(ready))
                predicted = model.task.predicted(plain, model.facts.classes, given, wanted)
            if all(without):
                _check_network(model, batch)
            lost = iter(without)
        predictions = iter(predicted)
        for item, read in zip(group, prepared, strict=True):
            broken = read if isinstance(read, str) else _LOST if next(lost) else ""
            prediction = Prediction() if isinstance(read, str) else next(predictions)
            yield PredictedItem(item, broken=broken) if broken else PredictedItem(item, prediction)


def _outputs(model: Model, batch: Tensor) -> Any:
    """Return the network's outputs for a batch.

    Raises:
        UserError: it takes no inputs such as the model's folder says.
    """
    try:
        return outputs_of(model.network, batch)
    except torch.OutOfMemoryError:
        raise
    except (IndexError, RuntimeError, ValueError) as error:
        reason = first_line(error)
        raise UserError(
            f"the network cannot take inputs of shape {tuple(batch.shape[1:])} ({reason}); export the model again"
        ) from error


def _check_network(model: Model, batch: Tensor) -> None:
    """Check that outputs without numbers are the inputs' fault.

    Raises:
        UserError: the network gives none for an input of zeros either.
    """
    nothing = outputs_of(model.network, torch.zeros_like(batch[:1]))
    if all(_no_numbers(model.task.read(nothing), 1)):
        raise UserError(
            "the model gives no finite numbers, whatever it is shown: its weights hold NaN, or numbers far too large; "
            "export it from another training"
        )


def _no_numbers(outputs: Any, count: int) -> list[bool]:
    """Return for which of ``count`` inputs an output is not a finite number, where the outputs are one tensor."""
    if not isinstance(outputs, Tensor) or len(outputs) != count:
        return [False] * count
    return (~outputs.flatten(1).isfinite().all(dim=1)).tolist()
