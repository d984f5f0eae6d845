"""Sources of pretrained networks, one per file."""

from __future__ import annotations

import difflib

from spaces.backbones._base import Backbone, Source
from spaces.errors import BackboneError
from spaces.plugins import load


def sources() -> dict[str, Source]:
    """Return every source of backbones by name, in the order in which short names are looked up."""
    loaded: dict[str, Source] = load("spaces.backbones", "source", "ftsearch.backbones")
    return dict(sorted(loaded.items(), key=lambda item: item[1].rank))


def resolve(name: str) -> Backbone:
    """Return the backbone called ``name``: ``torchvision:mobilenet_v2``, or ``mobilenet_v2`` for short.

    A name may also begin with one of a source's ``addresses``, as in ``hf-hub:timm/resnet18.a1_in1k``.

    Raises:
        BackboneError: no such network (suggests the nearest names), or its source is not installed.
    """
    wanted, _, rest = name.partition(":")
    chosen = sources()
    if addressed := next((source for source in chosen.values() if rest and wanted in source.addresses), None):
        wanted, rest = addressed.name, name
    if rest:
        if wanted not in chosen:
            raise BackboneError(f"unknown source of backbones {wanted!r}; known: {', '.join(chosen)}")
        chosen, wanted = {wanted: chosen[wanted]}, rest
        (source,) = chosen.values()
        if needed := source.requirement():
            raise BackboneError(f"{name} needs a package that is not installed; install it with `{needed}`")
        if source.is_open:
            return source.open(wanted)
    for source in chosen.values():
        if wanted in source:
            return source.open(wanted)
    known = dict.fromkeys(name for source in chosen.values() for name in source.names())
    near = difflib.get_close_matches(wanted.lower(), known, 3, 0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "`ftsearch backbones` lists them all"
    raise BackboneError(f"unknown backbone {name!r}; {hint}")
