from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from by_path import module_at

from search.data.sample import Split
from search.data.tokens import IGNORED
from search.errors import UserError
from search.tasks._entities import entities, has_scheme, scores
from search.tasks._prediction import InputInfo, PredictOptions
from search.tasks.tokens import TokensEvaluator, task

shared = module_at("search/tasks/test_text.py")


def sentences(folder: Path, count: int = 16) -> str:
    """Write sentences in which `good film` is an entity, and `bad` one of another type."""
    lines = []
    for number in range(count):
        for filler in range(number % 4):
            lines.append(f"{'abcdefghij'[(number + filler) % 10]} O")
        lines += ["good B-X", "film I-X"] if number % 2 else ["bad B-Y"]
        lines += ["is O", ""]
    (folder / "t.conll").write_text("\n".join(lines) + "\n")
    return "{path: t.conll, val_share: 0.25}"


def test_it_overfits_tagged_sentences(tmp_path: Path) -> None:
    runtime = shared.opened(tmp_path, "tokens", sentences(tmp_path))
    outcome = shared.trained(runtime, shared.chosen(runtime))
    assert max(record.metrics["entity_f1"] for record in outcome.epochs) == 1.0
    assert max(record.metrics["accuracy"] for record in outcome.epochs) == 1.0
    assert outcome.evaluation is not None
    assert {one.name for one in outcome.evaluation.measured} >= {"X", "Y"}


def test_a_tag_belongs_to_the_first_token_of_its_word(tmp_path: Path) -> None:
    runtime = shared.opened(tmp_path, "tokens", sentences(tmp_path))
    ids, tags = next(iter(runtime.batches(Split.VAL).epoch(1)))
    assert tags.shape == ids.shape
    assert (tags[:, 0] == IGNORED).all()  # the class token
    assert (tags[ids == 0] == IGNORED).all()
    assert ((ids == shared.WORDS.index("bad")) == (tags == runtime.dataset.classes.index("B-Y"))).all()


def test_cached_training_agrees(tmp_path: Path) -> None:
    from dataclasses import replace

    weights = shared.saved(tmp_path / "network")
    losses = []
    for cache in ("auto", "off"):
        runtime = shared.opened(tmp_path, "tokens", sentences(tmp_path, 40), epochs=2, weights=weights)
        training = replace(runtime.spec.training, prefix_cache=cache)
        runtime = replace(runtime, spec=replace(runtime.spec, training=training))
        outcome = shared.trained(runtime, shared.chosen(runtime, freeze=2), on_train=False)
        losses.append([record.train_loss for record in outcome.epochs])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reads from left to right"):
        shared.opened(tmp_path, "tokens", sentences(tmp_path), "gpt2")


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ("O B-PER I-PER O", {("PER", 1, 2)}),
        ("B-PER B-PER", {("PER", 0, 0), ("PER", 1, 1)}),
        ("I-PER I-LOC", {("PER", 0, 0), ("LOC", 1, 1)}),
        ("B-PER I-LOC I-LOC", {("PER", 0, 0), ("LOC", 1, 2)}),
        ("S-A B-B I-B E-B O", {("A", 0, 0), ("B", 1, 3)}),
        ("U-A B-B L-B", {("A", 0, 0), ("B", 1, 2)}),
        ("O O", set()),
    ],
)
def test_entities_of_a_sentence(tags: str, found: set[tuple[str, int, int]]) -> None:
    assert entities(tags.split()) == found


def test_parts_of_speech_are_not_entities_of_several_words() -> None:
    assert not has_scheme(("NOUN", "VERB"))
    assert has_scheme(("O", "B-PER"))
    assert entities(["NOUN", "NOUN", "O"], scheme=False) == {("NOUN", 0, 0), ("NOUN", 1, 1)}


def test_entity_scores_are_those_of_seqeval() -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    for prefixes, seed in (("BI", 0), ("BIES", 1), ("I", 2)):
        draw = random.Random(seed)
        names = ["O", *(f"{prefix}-{kind}" for prefix in prefixes for kind in ("A", "B", "C-D"))]
        true = [[draw.choice(names) for _ in range(draw.randint(1, 12))] for _ in range(200)]
        said = [[tag if draw.random() < 0.7 else draw.choice(names) for tag in row] for row in true]
        whole, kinds = scores([entities(row) for row in true], [entities(row) for row in said])
        assert whole.f1 == pytest.approx(seqeval.f1_score(true, said))
        assert whole.precision == pytest.approx(seqeval.precision_score(true, said))
        assert whole.recall == pytest.approx(seqeval.recall_score(true, said))
        told = seqeval.classification_report(true, said, output_dict=True)
        for kind, score in kinds.items():
            assert score.f1 == pytest.approx(told[kind]["f1-score"])
            assert score.support == told[kind]["support"]


def test_a_meter_counts_words_and_entities_and_names_sentences() -> None:
    classes = ("O", "B-X", "I-X")
    true = torch.tensor([[IGNORED, 1, 2, IGNORED], [IGNORED, 0, 1, IGNORED]])
    outputs = torch.nn.functional.one_hot(torch.tensor([[0, 1, 2, 0], [1, 0, 0, 1]]), 3) * 9.0
    evaluator = TokensEvaluator(classes, torch.device("cpu"))
    evaluator.update(outputs[:1], true[:1])
    evaluator.update(outputs[1:, :3], true[1:, :3])
    found = evaluator.compute()
    assert found["entity_f1"] == pytest.approx(2 / 3)
    assert (found["entity_precision"], found["entity_recall"]) == (1.0, 0.5)
    assert found["accuracy"] == pytest.approx(3 / 4)
    mistakes = evaluator.evaluation().mistakes
    assert [(one.place, one.true, one.predicted) for one in mistakes] == [(1, "B-X", "O")]


def test_padding_and_cut_words_count_for_nothing_in_the_loss() -> None:
    outputs = torch.randn(2, 3, 4)
    targets = torch.tensor([[1, IGNORED, IGNORED], [2, 3, IGNORED]])
    wanted = torch.nn.functional.cross_entropy(outputs.flatten(0, 1)[[0, 3, 4]], torch.tensor([1, 2, 3]))
    torch.testing.assert_close(task.loss(outputs, targets), wanted)
    assert task.loss(outputs, torch.full_like(targets, IGNORED)) == 0.0


def test_a_word_is_tagged_by_its_first_token_and_an_entity_is_as_sure_as_its_least_sure_word() -> None:
    logits = torch.tensor([[[0.0, 9, 0], [0, 3, 0], [0, 0, 2], [9, 0, 0], [9, 0, 0]]])
    sentence = InputInfo(words=("New", "York", "is", "cut"), places=(None, 0, 1, 1, 2))
    (said,) = task.predicted(logits, ("O", "B-LOC", "I-LOC"), [sentence], PredictOptions())
    assert [tag and tag.label for tag in said.tags] == ["B-LOC", "I-LOC", "O", None]
    (span,) = said.spans
    assert (span.label, span.first, span.last, span.text) == ("LOC", 0, 1, "New York")
    assert span.score == pytest.approx(float(logits[0, 2].softmax(0)[2]))
    (unsure,) = task.predicted(logits, ("O", "B-LOC", "I-LOC"), [sentence], PredictOptions(threshold=0.9))
    assert unsure.spans == ()
    assert unsure.tags == said.tags
