"""One tag per word: named entities, parts of speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from search.data.cache import Frame
from search.data.image_loader import Request
from search.data.sample import Dataset, Sample
from search.data.tokens import IGNORED, Encoded, encoded
from search.data.transfer import fetched
from search.errors import UserError
from search.records.study import Evaluation, Measured, Mistake
from search.tasks._base import Evaluator
from search.tasks._entities import OUTSIDE, entities, has_scheme, scores
from search.tasks._prediction import InputInfo, OutputDifference, Prediction, PredictOptions, ScoredLabel, Span
from search.tasks._texts import Texts, TokenizerOptions
from search.tasks.classification import ClassificationEvaluator
from spaces.backbones._base import Pretrained
from spaces.heads import Features, HeadChoice, mlp

_MISTAKES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TokenizerOptions):
    """How sentences are read: words beyond ``max_length`` are neither learnt nor measured, with a warning."""


class RealTokens(nn.Module):
    """``(N, T, C + 1)`` without the last channel, which marks padding: ``(N, T, C)``."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[..., :-1]


class TokensEvaluator(Evaluator):
    """Tags of a validation pass: word by word, and as entities."""

    def __init__(self, classes: tuple[str, ...], device: torch.device) -> None:
        self._classes = classes
        self._scheme = has_scheme(classes)
        self._words = ClassificationEvaluator(classes, device)
        self._batches: list[dict[str, Tensor]] = []
        self._there: list[dict[str, Tensor]] | None = None

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add outputs ``(B, T, tags)`` and tags ``(B, T)``, which are -100 for tokens without one."""
        sure, predicted = outputs.softmax(dim=-1).max(dim=-1)
        self._batches.append({"predicted": predicted.to(torch.int16), "sure": sure, "true": targets.to(torch.int16)})
        self._there = None
        self._words.update(outputs.flatten(0, 1), targets.flatten())

    def compute(self) -> Mapping[str, float]:
        whole, _ = scores(*self._entities())
        words = self._words.compute()
        return {
            "entity_f1": whole.f1,
            "entity_precision": whole.precision,
            "entity_recall": whole.recall,
            **{name: words[name] for name in ("accuracy", "macro_f1", "loss")},
        }

    @property
    def samples(self) -> int:
        return sum(len(batch["true"]) for batch in self._batches)

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        if not metric.startswith("entity_"):
            counts = torch.tensor([len(words) for words in self._sentences("true")])
            return self._words.resampled(metric, weights.repeat_interleave(counts, dim=1))
        true, predicted = self._entities()
        rows = [(len(real & guessed), len(real), len(guessed)) for real, guessed in zip(true, predicted, strict=True)]
        hits, there, found = (weights @ torch.tensor(rows, dtype=torch.float64)).unbind(dim=1)
        whole = {"entity_precision": found, "entity_recall": there}.get(metric, (there + found) / 2)
        return hits / whole.clamp(min=0.5)

    def evaluation(self) -> Evaluation:
        """Return results by tag and by type of entity, and sentences with a wrong tag, the most confident first."""
        _, kinds = scores(*self._entities())
        measured = tuple(
            Measured(kind, {"precision": one.precision, "recall": one.recall, "f1": one.f1}, one.support)
            for kind, one in kinds.items()
        )
        words = self._words.evaluation()
        return Evaluation(words.classes, words.confusion, self._mistakes(), measured)

    def _sentences(self, column: str) -> list[list[Any]]:
        """Return the values of ``column`` for the words of every sentence; tokens without a tag are left out."""
        if self._there is None:
            batches = enumerate(self._batches)
            there = fetched({f"{index}.{name}": value for index, batch in batches for name, value in batch.items()})
            self._there = [
                {name: there[f"{index}.{name}"] for name in batch} for index, batch in enumerate(self._batches)
            ]
        return [
            row[mask].tolist()
            for batch in self._there
            for row, mask in zip(batch[column], batch["true"] != IGNORED, strict=True)
        ]

    def _entities(self) -> tuple[list[Any], list[Any]]:
        true, predicted = (
            [
                entities([self._classes[tag] for tag in sentence], scheme=self._scheme)
                for sentence in self._sentences(column)
            ]
            for column in ("true", "predicted")
        )
        return true, predicted

    def _mistakes(self) -> tuple[Mistake, ...]:
        """Return each sentence's most confident wrong tag, the most confident of all first."""
        columns = (self._sentences(column) for column in ("true", "predicted", "sure"))
        mistakes: list[Mistake] = []
        for index, words in enumerate(zip(*columns, strict=True)):
            wrong = [(sure, true, predicted) for true, predicted, sure in zip(*words, strict=True) if true != predicted]
            if wrong:
                sure, true, predicted = max(wrong)
                mistakes.append(Mistake(index, self._classes[true], self._classes[predicted], round(sure, 4)))
        return tuple(sorted(mistakes, key=lambda mistake: -mistake.confidence)[:_MISTAKES])


class Tokens(Texts):
    """Cross-entropy over the first token of each word; entity F1, precision and recall, accuracy, macro F1 of tags."""

    name, noun = "tokens", "sentences"
    formats = ("conll", "hf_tokens")
    options = Options
    hub_task = "token-classification"
    predicts = "tags"
    means = "logits of every token, (sentences, tokens, tags); the first token of a word gives its tag"
    words = True
    directions: ClassVar[Mapping[str, bool]] = {
        "entity_f1": True,
        "entity_precision": True,
        "entity_recall": True,
        "accuracy": True,
        "macro_f1": True,
        "loss": False,
    }
    chosen: Options = Options()

    def bind(self, chosen: Options, dataset: Dataset, pretrained: Pretrained) -> Self:
        bound = super().bind(chosen, dataset, pretrained)
        if pretrained.chain.facts.get("causal"):
            raise UserError(
                f"{pretrained.backbone} reads from left to right: a word's tag cannot depend on what follows; "
                "choose an encoder (BERT, RoBERTa ...) for the task tokens"
            )
        return bound

    def encode(self, samples: Sequence[Sample], most: int, request: Request) -> Encoded:
        """Return sentences as tokens; a word's tag belongs to its first token."""
        rows, places, cut = self.numbered([sample.input for sample in samples], most)
        self._check_coverage(rows, cut, most, request.split)
        classes = [_first_tokens(words, sample.target) for words, sample in zip(places, samples, strict=True)]
        return encoded(rows, self._padding, classes=classes)

    def targets(self, samples: Sequence[Sample], frame: Frame) -> Tensor:
        raise UserError("tags belong to tokens; `encode` gives both")

    def kinds(self, target: Any) -> Sequence[int]:
        return tuple(target)

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        """Return an MLP applied to every token; there is no pooling."""
        front = (RealTokens(),) if features.masked else ()
        return nn.Sequential(*front, *mlp(features.channels, classes, choice))

    def loss(self, outputs: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
        # Sum over count: the count is 0 if a piece of a batch holds only truncated words.
        total = F.cross_entropy(
            outputs.flatten(0, 1),
            targets.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=label_smoothing,
        )
        return total / (targets != IGNORED).sum().clamp(min=1)

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> TokensEvaluator:
        return TokensEvaluator(classes, device)

    def predicted(
        self, outputs: Tensor, classes: tuple[str, ...], given: Sequence[InputInfo], wanted: PredictOptions
    ) -> list[Prediction]:
        """Return the tag of every word, and the entities they mark, without those below the threshold."""
        scores, places = (outputs / wanted.temperature).softmax(dim=-1).max(dim=-1)
        scheme, least = has_scheme(classes), wanted.threshold or 0.0
        predictions = []
        for sentence, sure, tags in zip(given, scores.tolist(), places.tolist(), strict=True):
            first = {word: index for index, word in reversed([*enumerate(sentence.places)]) if word is not None}
            predicted = tuple(
                ScoredLabel(classes[tags[first[word]]], sure[first[word]]) if word in first else None
                for word in range(len(sentence.words))
            )
            marked = entities([OUTSIDE if one is None else one.label for one in predicted], scheme=scheme)
            spans = [_span(kind, start, end, predicted, sentence.words) for kind, start, end in marked]
            kept = sorted((span for span in spans if span.score >= least), key=lambda span: span.first)
            predictions.append(Prediction(tags=predicted, spans=tuple(kept)))
        return predictions

    def difference(self, outputs: Tensor, expected: Tensor, classes: tuple[str, ...]) -> OutputDifference:
        same = int((outputs.argmax(dim=-1) == expected.argmax(dim=-1)).all(dim=1).sum())
        return OutputDifference(float((outputs - expected).abs().max()), float(expected.abs().max()), same)


def _span(kind: str, first: int, last: int, tags: Sequence[ScoredLabel | None], words: Sequence[str]) -> Span:
    """Return the entity of the words ``first`` to ``last``, as confident as the least confident of its tags."""
    score = min(tag.score for tag in tags[first : last + 1] if tag is not None)
    return Span(kind, score, first, last, " ".join(words[first : last + 1]))


def _first_tokens(words: Sequence[int | None], tags: Sequence[int]) -> list[int]:
    """Return the tag of a word at its first token, and -100 at all others."""
    first, before = [], None
    for word in words:
        first.append(tags[word] if word is not None and word != before else IGNORED)
        before = word
    return first


task = Tokens()
