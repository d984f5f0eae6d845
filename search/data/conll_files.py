"""Sentences of tagged words: the last steps that their formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.data import texts
from search.data.assembly import Listed
from search.data.broken_samples import refuse
from search.data.sample import Dataset, Split
from search.data.texts import Words
from search.errors import DataError
from search.records.plain_text import numbered

SUFFIXES = (".conll", ".bio", ".iob", ".conllu")
"""Extensions that only files in CoNLL form have."""
DOCUMENT = "-DOCSTART-"
"""What CoNLL writes in place of a word where a document begins."""
OUTSIDE = "O"
"""The tag of a word that belongs to no entity."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words and tags of one sentence; ``place`` names it in errors: ``train.conll, line 3``."""

    place: str
    words: tuple[str, ...]
    tags: tuple[str, ...]
    split: Split | None


def tagged_dataset(
    name: str, sentences: Sequence[Sentence], problems: Sequence[str], options: texts.TextOptions
) -> Dataset:
    """Return the data set of ``sentences``; a sample's target is the tuple of its words' tags, as indices.

    Raises:
        DataError: as in ``texts.collect``; fewer than two tags; a tag that no training sentence has.
    """
    training = (sentence for sentence in sentences if sentence.split in (None, Split.TRAIN))
    known = texts.ordered_names([tag for sentence in training for tag in sentence.tags])
    if OUTSIDE in known:
        known = (OUTSIDE, *(tag for tag in known if tag != OUTSIDE))
    strange = [
        f"{sentence.place}: the tag {tag!r} is not among those of training: {', '.join(known[:12])}"
        for sentence in sentences
        for tag in sorted(set(sentence.tags) - set(known))
    ]
    problems = [*problems, *strange]
    refuse(problems, options.on_error)
    if len(known) < 2:
        raise DataError(
            f"{name}: {numbered(len(known), 'tags')} found ({', '.join(known) or 'none'}); at least two are needed"
        )
    index = {tag: number for number, tag in enumerate(known)}
    listed = [
        Listed(Words(sentence.place, sentence.words), sentence.tags, sentence.split)
        for sentence in sentences
        if all(tag in index for tag in sentence.tags)
    ]
    return texts.collect(
        name,
        listed,
        problems,
        options,
        names=known,
        encode=lambda tags: tuple(index[tag] for tag in tags),
        written=lambda target: " ".join(known[label] for label in target),
        divide=options.by_classes(len(known), lambda tags: sorted(set(tags))),
    )
