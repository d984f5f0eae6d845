"""Masks in, masks out: every decoder and loss learns, metrics are the reference's, cached training is the plain one."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import f1_score, jaccard_score
from torch.nn import functional as F
from torchmetrics.functional.classification import multiclass_f1_score, multiclass_jaccard_index

from search.data.masks import FullMasks, Grid, Masks, WholeFrame, void_of
from search.data.sample import Dataset, Sample, Split
from search.errors import SpecError
from search.records.study import Evaluation, Verdict
from search.runtime.study_record import study_record
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import from_data, parse_spec
from search.tasks._pixel_losses import pixel_loss
from search.tasks._prediction import InputInfo, PredictOptions
from search.tasks._segmentation_metrics import PixelEvaluator, mask_of
from search.tasks.segmentation import Options, Segmentation, task
from search.training.fit import TrainingResult, fit
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate, Recipe
from spaces.decisions.segmentation_loss import KINDS
from spaces.decoders import decoders
from spaces.decoders._base import UPSAMPLINGS, DecoderChoice, DenseHead
from spaces.networks import build
from spaces.networks.space import Space

COLOURS = torch.tensor([[0.1, 0.1, 0.1], [0.9, 0.1, 0.1], [0.1, 0.9, 0.1]])
CPU = torch.device("cpu")


def drawn(count: int = 8, side: int = 16) -> tuple[torch.Tensor, Masks]:
    """Return noisy pictures of blocks of three colours, with their masks."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 3, (count, 2, 2), generator=random)
    masks = coarse.repeat_interleave(side // 2, 1).repeat_interleave(side // 2, 2)
    images = COLOURS[masks].permute(0, 3, 1, 2) + 0.05 * torch.randn(count, 3, side, side, generator=random)
    masks[:, 0, 0] = 255
    return images - 0.4, Masks(masks.to(torch.uint8))


def trained(tiny: Pretrained, steps: int = 120, **decided: Any) -> float:
    """Return the mean IoU that a network of the plain recipe and ``decided`` reaches on what it is trained on."""
    space = Space(tiny, {}, "segmentation")
    candidate = space.baseline()
    values = {**space.values(candidate), **decided}
    network = build.build(
        space.apply(candidate), values, lambda features, choice, decided: task.head(features, 3, choice, decided), 0
    )
    images, masks = drawn()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        task.loss(network(images), masks).backward()
        optimizer.step()
    network.eval()
    evaluator = task.evaluator(("a", "b", "c"), CPU)
    with torch.inference_mode():
        for part in (slice(0, 5), slice(5, 8)):
            evaluator.update(network(images[part]), masks[part])
    return evaluator.compute()["miou"]


@pytest.mark.parametrize("kind", decoders())
def test_every_decoder_learns_the_masks(tiny: Pretrained, kind: str) -> None:
    assert trained(tiny, decoder=DecoderChoice(kind, 16, 1), auxiliary_loss=0.4) > 0.9


@pytest.mark.parametrize("loss", KINDS)
def test_every_loss_teaches_the_masks(tiny: Pretrained, loss: str) -> None:
    assert trained(tiny, decoder=DecoderChoice("unet", 16, 1), segmentation_loss=loss) > 0.9


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
def test_every_way_up_teaches_the_masks(tiny: Pretrained, upsampling: str) -> None:
    assert trained(tiny, decoder=DecoderChoice("unet", 16, 1), upsampling=upsampling) > 0.9


def stored(classes: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions and truth of 9 images; the last class is nowhere, that before it is only predicted."""
    random = torch.Generator().manual_seed(3)
    true = torch.randint(0, classes - 2, (9, 12, 10), generator=random)
    logits = torch.randn(9, classes, 12, 10, generator=random)
    logits[:, -1] = -9
    logits.scatter_add_(1, true[:, None], torch.full((9, 1, 12, 10), 1.5))
    true[torch.rand(true.shape, generator=random) < 0.1] = 255
    return logits, true


def test_metrics_are_those_of_torchmetrics_and_scikit_learn() -> None:
    logits, true = stored()
    evaluator = PixelEvaluator(tuple("abcdef"), CPU)
    for part in (slice(0, 4), slice(4, 9)):
        evaluator.update(logits[part], Masks(true[part].to(torch.uint8)))
    found = evaluator.compute()
    predicted, known = logits.argmax(dim=1), true != 255
    jaccard = multiclass_jaccard_index(predicted, true, 6, average="macro", ignore_index=255)
    dice = multiclass_f1_score(predicted, true, 6, average="macro", ignore_index=255)
    assert found["miou"] == pytest.approx(float(jaccard), abs=1e-6)
    assert found["dice"] == pytest.approx(float(dice), abs=1e-6)
    assert found["pixel_accuracy"] == pytest.approx(float((predicted == true)[known].double().mean()))
    assert found["loss"] == pytest.approx(float(F.cross_entropy(logits, true, ignore_index=255)), rel=1e-5)
    flat = (true[known].numpy(), predicted[known].numpy())
    labels = list(range(5))
    measured = evaluator.evaluation().measured
    ious = jaccard_score(*flat, labels=labels, average=None, zero_division=0)
    assert [row.values["iou"] for row in measured[:5]] == pytest.approx(ious.tolist())
    f1 = f1_score(*flat, labels=labels, average=None, zero_division=0)
    assert [row.values["dice"] for row in measured[:5]] == pytest.approx(f1.tolist())
    assert measured[5].values == {}
    assert [row.support for row in measured] == [int((true == label).sum()) for label in range(6)]


def test_the_evaluation_shows_the_worst_images_and_survives_json() -> None:
    true = torch.zeros(20, 8, 300, dtype=torch.uint8)
    true[:, 4:] = 1
    true[:, 0, 0] = 255
    logits = F.one_hot(true.long().clamp(max=1), 2).permute(0, 3, 1, 2).float()
    logits[7] = torch.tensor([1.0, 0.0])[:, None, None]
    logits[3, :, :, :150] = torch.tensor([1.0, 0.0])[:, None, None]
    evaluator = PixelEvaluator(("sky", "road"), CPU)
    for part in (slice(0, 6), slice(6, 20)):
        evaluator.update(logits[part], Masks(true[part]))
    found = evaluator.evaluation()
    assert [picture.place for picture in found.pictures[:2]] == [7, 3]
    assert len(found.pictures) == 12
    assert found.pictures[0].caption == "mean IoU 0.250; road 0.00; sky 0.50"
    assert found.pictures[2].caption == "mean IoU 1.000"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found.pictures[0].true_mask))))
    assert shown.shape == (7, 256)
    assert set(np.unique(shown)) <= {0, 1, 255}
    assert shown[0, 0] == 255
    assert not np.asarray(Image.open(io.BytesIO(base64.b64decode(found.pictures[0].predicted_mask)))).any()
    assert Evaluation.from_json(asdict(found)) == found


def test_an_empty_pass_and_images_of_nothing_but_void_count_for_nothing() -> None:
    evaluator = PixelEvaluator(("a", "b"), CPU)
    assert evaluator.compute()["miou"] == 0.0
    assert evaluator.evaluation().pictures == ()
    evaluator.update(torch.zeros(1, 2, 4, 4), Masks(torch.full((1, 4, 4), 255, dtype=torch.uint8)))
    assert evaluator.compute() == {"miou": 0.0, "dice": 0.0, "pixel_accuracy": 0.0, "mean_accuracy": 0.0, "loss": 0.0}
    assert evaluator.evaluation().pictures == ()


def test_losses_are_those_of_their_papers_and_leave_void_out() -> None:
    logits, true = stored()
    masks, known = true.to(torch.uint8), true != 255
    flat, labels = logits.permute(0, 2, 3, 1)[known], true[known]
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 1.0])
    for smoothing in (0.0, 0.1):
        wanted = F.cross_entropy(flat, labels, weights, label_smoothing=smoothing)
        torch.testing.assert_close(pixel_loss(logits, masks, "cross_entropy", smoothing, weights), wanted)
    chance = flat.softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    focal = -((1 - chance) ** 2 * chance.log()).mean()
    torch.testing.assert_close(pixel_loss(logits, masks, "focal"), focal)
    shares, hot = flat.softmax(dim=1), F.one_hot(labels, 6).float()
    scores = 2 * (shares * hot).sum(0) / (shares.square().sum(0) + hot.sum(0))
    dice = 1 - scores[:4].mean()
    torch.testing.assert_close(pixel_loss(logits, masks, "dice"), dice)
    torch.testing.assert_close(pixel_loss(logits, masks, "focal+dice"), focal + dice)
    torch.testing.assert_close(
        pixel_loss(logits, torch.where(known, true, 32767).to(torch.int16), "focal+dice"), focal + dice
    )
    nothing = torch.full_like(masks, void_of(masks))
    for kind in KINDS:
        lost = pixel_loss(logits.requires_grad_(), nothing, kind, 0.1, weights)
        assert float(lost.detach()) == 0.0
        lost.backward()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


STUDY = """\
name: blocks
task: segmentation
data: {{path: {path}, val_share: 0.25}}
backbone: squeezenet1_1
weights: none
input_size: 64
training: {{epochs: 2, views: 2, batch_size: 4, augmentation: light, precision: float32}}
search: {{trials: 1, seed: 3, pruner: none}}
{more}
"""


def draw(root: Path, count: int = 12) -> Path:
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(count):
        coarse = np.random.default_rng(number).integers(0, 3, (4, 6))
        mask = np.kron(coarse, np.ones((16, 16), dtype=np.int64)).astype(np.uint8)
        pixels = (255 * COLOURS.numpy()[mask]).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number:02d}.png")
        Image.fromarray(mask).save(root / "masks" / f"{number:02d}.png")
    return root


def opened(tmp_path: Path, more: str = "") -> StudyRuntime:
    path = tmp_path / "data"
    spec = parse_spec(STUDY.format(path=path if path.exists() else draw(path), more=more), base=tmp_path)
    return open_runtime(spec, "cpu")


def run(runtime: StudyRuntime, candidate: Candidate) -> TrainingResult:
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return fit(network, plan)


@pytest.mark.parametrize("depth", [4, 9])
def test_cached_training_with_taps_is_that_of_the_whole_network(tmp_path: Path, depth: int) -> None:
    runtime = opened(tmp_path)
    plain = runtime.space.baseline()
    choices = {**plain.structure.choices, "freeze": depth, "decoder": {"kind": "unet", "width": 16, "depth": 1}}
    candidate = Candidate(replace(plain.structure, choices=choices), Recipe(dict(plain.recipe.choices)))
    network = runtime.build(candidate, 0)
    assert len(network.taps) > 2
    assert len(network.carried) > 1
    plan = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    cached = fit(network, plan)
    assert cached.facts["prefix"]["train"]["source"] == "cached"
    network = runtime.build(candidate, 0)
    whole = replace(
        plan,
        train=plan.train.batches,  # type: ignore[attr-defined]
        val=plan.val.batches,  # type: ignore[attr-defined]
        forward=lambda network, images: network(images),
    )
    uncached = fit(network, whole)
    for ours, theirs in zip(cached.epochs, uncached.epochs, strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert ours.metrics == pytest.approx(theirs.metrics, rel=1e-3, abs=1e-4)


def test_a_study_names_its_own_decisions_by_default_and_measures_pixels(tmp_path: Path) -> None:
    runtime = opened(tmp_path)
    assert {"decoder", "upsampling", "auxiliary_loss", "segmentation_loss"} <= set(runtime.spec.space)
    assert "head" not in runtime.spec.space
    dataset = study_record(runtime).dataset
    assert dataset.samples() == {"train": 9, "val": 3}
    assert dataset.counts["train"]["0"] > 0
    outcome = run(runtime, runtime.space.baseline())
    assert set(outcome.epochs[-1].metrics) == set(task.directions)
    assert outcome.evaluation is not None
    pictures = outcome.evaluation.named(runtime.inputs(Split.VAL)).pictures
    assert pictures[0].sample.endswith(".png")


def test_validation_shows_the_whole_image_and_training_keeps_more_of_it() -> None:
    from spaces.backbones._base import Preprocessing

    bound = Segmentation()
    bound.chosen = Options(canvas=2.0)
    assert bound.frame(Split.VAL, (32, 48), Preprocessing()).shape == (32, 48)
    frame = bound.frame(Split.TRAIN, (32, 48), Preprocessing())
    assert isinstance(frame, WholeFrame)
    assert frame.shape == (64, 96)
    assert frame.shown(7, 100) == (0.0, 0.0, 1.0, 1.0)


def test_rare_classes_weigh_more_when_balanced(tiny: Pretrained) -> None:
    class Known:
        def __init__(self, *pixels: tuple[int, int]) -> None:
            self.pixels = pixels

    samples = tuple(Sample(None, Known((0, 90), (1, 10)), Split.TRAIN) for _ in range(3))  # type: ignore[arg-type]
    samples += (Sample(None, Known((0, 50), (2, 50)), Split.TRAIN),)  # type: ignore[arg-type]
    bound = Segmentation().bind(Options(balance=True), Dataset("d", ("a", "b", "c", "d"), samples, ""), tiny)
    # Frequencies 0.8, 0.1 and 0.5; the fourth class is nowhere.
    torch.testing.assert_close(bound._weights, torch.tensor([0.5 / 0.8, 5.0, 1.0, 1.0]))
    assert task._weights is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("segmentation: {canvas: 9}", r"segmentation: canvas must be from 1 to 4, got 9"),
        ("objective: accuracy", r"objective: expected one of miou, dice, pixel_accuracy, mean_accuracy, loss"),
        ("space: {decoder: {kinds: [pspnet]}}", r"decoder\.kinds: expected one of deeplabv3, fcn, lraspp, unet"),
    ],
)
def test_invalid_options_are_refused_in_one_line(more: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        parse_spec(STUDY.format(path="x", more=more))


def test_decisions_that_are_not_of_pixels_are_refused(tmp_path: Path) -> None:
    from search.errors import UserError

    with pytest.raises(UserError, match=r"space\.head: pixels are predicted by a decoder"):
        opened(tmp_path, "space: {head: {}}")
    with pytest.raises(SpecError, match=r"decision is for segmentation, this study's task is classification"):
        parse_spec("name: x\ndata: y\nbackbone: resnet18\nspace: {decoder: {}}\n")


def test_options_travel_with_the_study() -> None:
    spec = parse_spec(STUDY.format(path="x", more="segmentation: {balance: true}"))
    assert spec.data_format == "mask_folder"
    assert parse_spec(STUDY.format(path="x.json", more="")).data_format == "coco_masks"
    assert from_data(spec.to_json()).task_options == Options(balance=True)


def test_a_head_without_decisions_is_the_plain_one(tiny: Pretrained) -> None:
    from spaces.decisions.head import attachment
    from spaces.heads import HeadChoice

    head = task.head(attachment(tiny.chain), 3, HeadChoice())
    assert isinstance(head, DenseHead)
    assert head.auxiliary is None


def test_masks_of_large_images_are_reported_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(7, 5, 6, generator=torch.Generator().manual_seed(0))
    whole = mask_of(logits, Grid((40, 33)))
    expected = F.interpolate(logits[None], size=(40, 33), mode="bilinear", align_corners=False)[0].argmax(dim=0)
    assert torch.equal(whole.long(), expected)
    monkeypatch.setattr("search.tasks._segmentation_metrics._AT_ONCE", 2 * 40 * 33)
    assert torch.equal(mask_of(logits, Grid((40, 33))), whole)
    assert mask_of(torch.zeros(300, 2, 2), Grid((3, 3))).dtype == torch.int32


@pytest.mark.parametrize("step", [3, 5])
def test_large_images_are_scored_on_some_of_the_pixels_that_predict_gives(step: int) -> None:
    logits = torch.randn(7, 9, 11, generator=torch.Generator().manual_seed(0))
    size = (80, 67)
    whole, grid = mask_of(logits, Grid(size)), Grid(size, step)
    assert np.array_equal(mask_of(logits, grid).numpy(), grid.of(whole.numpy()))
    true = torch.randint(0, 7, size, generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    full = FullMasks(torch.from_numpy(grid.of(true.numpy()).copy()).reshape(-1), (grid,), (0,))
    evaluator = PixelEvaluator(tuple("abcdefg"), torch.device("cpu"))
    small = torch.zeros(1, 9, 11, dtype=torch.uint8)
    evaluator.update(logits[None], Masks(small, full=full, numbers=torch.zeros(1, dtype=torch.int64)))
    right = (grid.of(whole.numpy()) == grid.of(true.numpy())).mean()
    assert evaluator.compute()["pixel_accuracy"] == pytest.approx(right)


def test_shares_of_classes_are_reported_the_largest_first() -> None:
    logits = torch.zeros(1, 3, 4, 4)
    logits[0, 2, 1:] = 5.0
    (said,) = task.predicted(logits, ("a", "b", "c"), [InputInfo(4, 4)], PredictOptions())
    assert said.answers == (("c", 0.75), ("a", 0.25))
    (first,) = task.predicted(logits, ("a", "b", "c"), [InputInfo(4, 4)], PredictOptions(most=1))
    assert first.answers == (("c", 0.75),)


def test_masks_agree_that_differ_in_a_pixel_of_a_thousand() -> None:
    expected = torch.zeros(1, 2, 50, 50)
    expected[:, 0] = 1.0
    few, many = expected.clone(), expected.clone()
    few[0, 1, 0, :2] = 1.5
    many[0, 1, 0, :3] = 1.5
    assert task.difference(few, expected, ("a", "b")) == (1.5, 1.0, 1)
    assert task.difference(many, expected, ("a", "b")).agreeing == 0
