"""The model card: a README whose metadata hubs read (https://huggingface.co/docs/hub/model-cards)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from search.model.folder import FACTS, SUMS, ModelFacts, TextPreprocessing
from search.model.preprocessing import steps

_SPDX = ("apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0")
_SCRATCH = "none"
_LOGITS = "logits, one per class"


def card(facts: ModelFacts, hub_task: str, snippets: Sequence[tuple[str, str, str]], means: str = _LOGITS) -> str:
    """Return the text of the card.

    Args:
        hub_task: the task's name on hubs, such as ``image-classification``; empty if they have none.
        snippets: file name, what it needs, and lines of Python for each format.
        means: what the outputs are.
    """
    head = yaml.safe_dump(_front(facts, hub_task), sort_keys=False, allow_unicode=True, width=1000)
    parts = (
        _summary(facts),
        _results(facts),
        _use(facts, snippets, means),
        _preprocessing(facts),
        _origin(facts),
        _checks(facts),
        _classes(facts),
    )
    return f"---\n{head}---\n\n# {facts.name}\n\n" + "\n".join(parts)


def _front(facts: ModelFacts, hub_task: str) -> dict[str, Any]:
    license_name = facts.weights.license.lower()
    front: dict[str, Any] = {"license": license_name if license_name in _SPDX else "other"}
    if front["license"] == "other":
        front["license_name"] = "see-below"
    front["library_name"] = "ftsearch"
    if hub_task:
        front["pipeline_tag"] = hub_task
    front["tags"] = [facts.task, _named(facts.backbone), *facts.files]
    if "huggingface.co/" in facts.weights.source:
        front["base_model"] = facts.weights.source.rpartition("huggingface.co/")[2]
    front["metrics"] = list(facts.metrics)
    metrics = [{"type": name, "name": name, "value": round(value, 6)} for name, value in facts.metrics.items()]
    split = "test" if facts.measured_on.startswith("test ") else "validation"
    result = {
        "task": {"type": hub_task or facts.task},
        "dataset": {
            "name": _short(facts.dataset),
            "type": _short(facts.dataset),
            "split": split,
        },
        "metrics": metrics,
    }
    return front | {"model-index": [{"name": facts.name, "results": [result]}]}


def _summary(facts: ModelFacts) -> str:
    where = f"trial {facts.trial} of the study" if facts.trial is not None else "the refit of the study"
    return (
        f"{facts.words}\n\n"
        f"Found by ftsearch as {where} `{facts.study}`; "
        f"{facts.parameters:,} parameters, {facts.flops:,} FLOPs per input (2 per multiply-add)"
        f"{', batch norms folded' if facts.folded else ''}. Exported {facts.created}.\n"
    )


def _results(facts: ModelFacts) -> str:
    lines = [f"| {name} | {value:.4f} | {_stored(facts.stored, name)} |" for name, value in facts.metrics.items()]
    return (
        f"## Results\n\nFrom `{_short(facts.dataset)}`: {facts.images} {facts.measured_on}.\n\n"
        "| metric | this model | stored by the search |\n| --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def _stored(stored: Mapping[str, float], name: str) -> str:
    return f"{stored[name]:.4f}" if name in stored else ""


def _use(facts: ModelFacts, snippets: Sequence[tuple[str, str, str]], means: str) -> str:
    blocks = [f"`{file}` (needs {needs}):\n\n```python\n{code}```\n" for file, needs, code in snippets]
    return (
        f"## Use\n\n```\nftsearch predict . {facts.place}\n```\n\n"
        + "\n".join(blocks)
        + f"\nOutputs are {means}"
        + (f"; divide them by the temperature {facts.temperature:.4f} before softmax" if facts.temperature != 1 else "")
        + f". `sha256sum -c {SUMS}` checks the files; `{FACTS}` has all of this as data.\n"
    )


def _text_preprocessing(texts: TextPreprocessing) -> str:
    what = "lists of words" if texts.words else "pairs of texts" if texts.pairs else "texts"
    second = f" {texts.segments} is added to the numbers of a second text's tokens." if texts.pairs else ""
    return (
        f"## Preprocessing\n\nThe tokenizer in `{texts.folder}/` (`AutoTokenizer.from_pretrained`) turns {what} into "
        f"numbers, at most {texts.length} tokens; what is longer is cut. Shorter ones of a batch are filled up with "
        f"{texts.padding}.{second if texts.segments else ''}\n"
    )


def _preprocessing(facts: ModelFacts) -> str:
    frame = facts.frame
    if facts.texts is not None:
        return _text_preprocessing(facts.texts)
    if frame is None:
        return f"## Preprocessing\n\nAs ftsearch's task `{facts.task}` prepares its inputs.\n"
    return f"## Preprocessing\n\n{frame.steps or steps(frame)}\n"


def _origin(facts: ModelFacts) -> str:
    weights, source = facts.weights, facts.weights.source
    source = _short(source) if source.startswith("/") else source
    if weights.name == _SCRATCH:
        text = f"Trained from scratch on the architecture `{_named(facts.backbone)}`; no pretrained weights.\n"
    else:
        text = (
            f"Pretrained weights `{_short(weights.name)}` of `{_named(facts.backbone)}`"
            + (f", from {source}" if source else "")
            + (f", SHA-256 `{weights.sha256}`" if weights.sha256 else "")
            + ". Licence: "
            + (f"{weights.license}. " if weights.license else "none named by the publisher. ")
            + "The data they were trained on may have terms of its own.\n"
        )
    made = ", ".join(f"{name} {version}" for name, version in facts.versions.items())
    data = f"Data set fingerprint `{facts.dataset_fingerprint}`."
    return f"## Origin\n\n{text}\n{data}" + (f" Made with {made}.\n" if made else "\n")


def _checks(facts: ModelFacts) -> str:
    lines = [
        f"| `{check.file}` | {check.images} | {check.difference:.1e} | {check.allowed:.0e} | "
        f"{check.agreeing} of {check.images} |"
        for check in facts.checks
    ]
    return (
        f"## Files\n\nEach was opened again and compared with the trained network on validation {facts.kind}.\n\n"
        f"| file | {facts.kind} | largest relative difference | allowed | same answer |\n"
        "| --- | --- | --- | --- | --- |\n" + "\n".join(lines) + "\n"
    )


def _classes(facts: ModelFacts) -> str:
    listed = "\n".join(f"{index}. {name}" for index, name in enumerate(facts.classes))
    return f"## {facts.outputs.capitalize()}\n\n{listed}\n"


def _short(name: str) -> str:
    """Return the last part of a path: a card is read elsewhere, and folders of this machine mean nothing there."""
    return PurePath(name).name or name


def _named(backbone: str) -> str:
    """Return the name of a backbone; for one in a folder of this machine, only the folder's own name."""
    source, _, name = backbone.partition(":")
    return f"{source}:{_short(name)}" if name.startswith(("/", "~", ".")) else backbone
