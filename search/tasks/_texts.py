"""The base of tasks on texts: the backbone's tokenizer, and batches of tokens."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch

from search.data.image_loader import Request
from search.data.loader import Loader
from search.data.sample import Dataset, Sample, Split
from search.data.texts import Text, Words
from search.data.tokens import Encoded, TokenBatches, encoded
from search.errors import UserError
from search.records.study import Json
from search.tasks._base import Task
from spaces import backbones
from spaces.backbones._base import Backbone, Pretrained
from spaces.errors import SpaceError

logger = logging.getLogger(__name__)
SHORTEST = 8
"""Fewest tokens: a pair of texts needs some besides the three that separate them."""
_MANY = 0.05
"""Share of training texts that may be truncated without a warning."""
_MANY_UNKNOWN, _ALL_UNKNOWN = 0.2, 0.9
"""Shares of unknown tokens above which a study warns, and is refused."""
TOKENIZER = "tokenizer"
"""Folder in a finished model: the tokenizer's files, and ``config.json``, which describes the backbone."""
AUGMENTED = {"augmentation": "texts are not augmented"}


@dataclass(frozen=True, kw_only=True)  # no slots: classes with slots of their own cannot be mixed
class TokenizerOptions:
    """How texts become tokens.

    Attributes:
        max_length: most tokens of a text, or of both together; longer ones are truncated. Batches are padded to their
            own longest text, so a large number costs nothing if texts are short.
        truncation: where a text is cut: at its ``end``, or at the ``start`` for texts that come to the point last.
    """

    max_length: int = 128
    truncation: Literal["end", "start"] = "end"
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.max_length < SHORTEST:
            raise ValueError(f"max_length must be at least {SHORTEST} tokens, got {self.max_length}")


class Texts(Task):
    """A task whose inputs are texts; its options are ``TokenizerOptions``."""

    reads, noun = "tokens", "texts"
    quantises = False
    hub_task = "text-classification"
    varying = ("batch", "length")
    leaves_out: ClassVar[Mapping[str, str]] = AUGMENTED
    words: ClassVar[bool] = False
    """Whether a sample is a list of words."""
    _tokenizer: Any = None
    _backbone: str = ""
    _padding: int = 0
    _segments: int = 0

    def bind(self, chosen: Any, dataset: Dataset, pretrained: Pretrained) -> Self:
        """Return the task with the backbone's tokenizer.

        Raises:
            UserError: the backbone has none.
            BackboneError: it cannot be read.
        """
        bound = super().bind(chosen, dataset, pretrained)
        backbone: Any = backbones.resolve(pretrained.backbone)
        facts = pretrained.chain.facts
        if not hasattr(backbone, "tokenizer") or "padding" not in facts:
            raise UserError(f"{pretrained.backbone} brings no tokenizer; choose a backbone of transformers:")
        bound._tokenizer = backbone.tokenizer(words=self.words)
        bound._cut_at(chosen.truncation)
        bound._backbone = pretrained.backbone
        bound._padding, bound._segments = int(str(facts["padding"])), int(str(facts["segments"]))
        return bound

    def facts(self) -> Mapping[str, Json]:
        own = {"tokenizer": self._backbone, "padding": self._padding, "segments": self._segments}
        return {**super().facts(), **own}

    def restore(self, chosen: Any, facts: Mapping[str, Json]) -> Self:
        restored = super().restore(chosen, facts)
        restored._backbone = str(facts["tokenizer"])
        restored._padding, restored._segments = int(facts["padding"]), int(facts["segments"])
        return restored

    def keep(self, folder: Path) -> None:
        """Write the tokenizer and the description of the backbone, so that a model needs nothing outside its folder."""
        tokenizer = folder / TOKENIZER
        self._tokenizer.save_pretrained(tokenizer)
        with torch.device("meta"):  # only the description of the network is needed
            network: Any = backbones.resolve(self._backbone).build((1, SHORTEST))
        network.config.save_pretrained(tokenizer)

    def fetch(self, folder: Path) -> Self:
        fetched, place = copy.copy(self), folder / TOKENIZER
        if not (place / "config.json").is_file():  # its name would be looked up on the hub
            raise UserError(f"{place} is missing or lacks config.json; export the model again")
        try:
            backbone: Any = backbones.resolve(f"transformers:{place}")
            fetched._tokenizer = backbone.tokenizer(words=self.words)
        except SpaceError as error:
            raise UserError(f"{place} cannot be read: {error}") from error
        fetched._cut_at(self.chosen.truncation)
        return fetched

    def _cut_at(self, end: Literal["end", "start"]) -> None:
        self._tokenizer.truncation_side = "right" if end == "end" else "left"

    @property
    def padding(self) -> int:
        """The id that pads shorter texts of a batch."""
        return self._padding

    @property
    def segments(self) -> int:
        """Offset of a second text's token ids; 0 where the network does not distinguish the two texts."""
        return self._segments

    def input_size(self, chosen: Any, asked: tuple[int, int] | None, backbone: Backbone) -> tuple[int, int]:
        """Return ``(1, T)`` for texts of at most T tokens.

        Raises:
            UserError: the study file gives the size of an image.
        """
        if asked is not None:
            raise UserError(f"input_size is of images; for texts set `{self.name}: {{max_length: {asked[1]}}}`")
        return (1, int(chosen.max_length))

    def batches(self, request: Request) -> Loader:
        """Return the batches of a split: texts of similar length together, padded to the longest of each batch."""
        split, size = request.split, request.size
        if (split, size) not in request.kept:
            request.kept[split, size] = self.encode(request.dataset.of(split), size[1], request)
        return TokenBatches(
            texts=request.kept[split, size],
            batch_size=request.batch_size,
            device=request.device,
            seed=request.seed,
            shuffle=request.is_training,
        )

    def encode(self, samples: Sequence[Sample], most: int, request: Request) -> Encoded:
        """Return the texts of ``samples`` as tokens, ``most`` of each, with their targets."""
        what = f"tokenizing {request.split} texts"
        request.progress(what, 0, len(samples))
        rows, _, cut = self.numbered([sample.input for sample in samples], most)
        request.progress(what, len(samples), len(samples))
        self._check_coverage(rows, cut, most, request.split)
        frame = self.frame(request.split, request.size, request.expected)
        return encoded(rows, self._padding, self.targets(samples, frame))

    def numbered(self, inputs: Sequence[Any], most: int) -> tuple[list[list[int]], list[list[int | None]], int]:
        """Return every text's token ids, the word that each token belongs to, and how many texts were truncated."""
        words = [text.words for text in inputs if isinstance(text, Words)]
        texts = [text for text in inputs if isinstance(text, Text)]
        if len(words) not in (0, len(inputs)) or len(words) + len(texts) < len(inputs):
            raise UserError(f"the task {self.name} takes texts, or lists of words, not both or images")
        pairs = [text.pair or "" for text in texts] if any(text.pair is not None for text in texts) else None
        if not inputs:
            return [], [], 0
        encoded = self._tokenizer(
            [list(given) for given in words] if words else [text.text for text in texts],
            pairs,
            is_split_into_words=bool(words),
            truncation=True,
            max_length=most,
            return_attention_mask=False,
            return_token_type_ids=bool(self._segments),
            return_overflowing_tokens=False,
        )
        cut = sum(bool(encoding.overflowing) for encoding in encoded.encodings)
        rows = [list(ids) or [max(self._padding, 0)] for ids in encoded["input_ids"]]
        if self._segments and pairs is not None:
            types = encoded["token_type_ids"]
            rows = [
                [token + self._segments * kind for token, kind in zip(row, kinds, strict=True)]
                for row, kinds in zip(rows, types, strict=True)
            ]
        places = [list(encoding.word_ids) for encoding in encoded.encodings] if words else []
        return rows, places, cut

    def _check_coverage(self, rows: Sequence[Sequence[int]], cut: int, most: int, split: Split) -> None:
        """Warn about training texts that are truncated, and those that the tokenizer does not know.

        Raises:
            UserError: it knows next to none of their tokens.
        """
        if split is not Split.TRAIN or most != self.chosen.max_length:
            return
        if cut > _MANY * len(rows):
            logger.warning(
                "%d of %d training texts have more than %d tokens and are cut; raise `%s.max_length`",
                *(cut, len(rows), most, self.name),
            )
        share = self._unknown(rows)
        what = (
            f"{100 * share:.0f} % of the tokens of the training texts are unknown to the tokenizer of {self._backbone}"
        )
        if share > _ALL_UNKNOWN:
            raise UserError(f"{what}; choose a backbone of their language, or put its own tokenizer beside config.json")
        if share > _MANY_UNKNOWN:
            logger.warning("%s; a backbone of their language learns more", what)

    def _unknown(self, rows: Sequence[Sequence[int]]) -> float:
        """Return the share of unknown tokens."""
        tokenizer = self._tokenizer
        if tokenizer.unk_token_id is None or tokenizer.unk_token_id in (tokenizer.eos_token_id, tokenizer.bos_token_id):
            return 0.0
        marks = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        counts = Counter(token for row in rows for token in row)
        total = sum(count for token, count in counts.items() if token not in marks)
        return counts[tokenizer.unk_token_id] / total if total else 0.0
