"""Frozen once: the same curves as without it, and nothing computed twice."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from search.data import resampling
from search.data.sample import Split
from search.records.study import Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.tasks.classification import Classification
from search.training import features
from search.training.feature_store import FeatureStore
from search.training.features import Prefix
from search.training.fit import TrainingPlan, TrainingResult, fit
from search.training.memory_budget import Budgets
from search.training.precision import choose
from search.trials.resampled import resampled
from spaces import heads
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate, Recipe
from spaces.chains.chain import Unit
from spaces.heads import Features, HeadChoice, Maps
from spaces.networks import build
from spaces.networks.space import Space

AMPLE = Budgets(0, 1 << 30, 1 << 30)
CPU = torch.device("cpu")


@pytest.fixture
def runtime(study_file: Path, tmp_path: Path) -> StudyRuntime:
    """ResNet-18: batch norm and residuals in the prefix, stochastic depth after it; exact, as in float32 alone."""
    text = study_file.read_text().replace("squeezenet1_1", "resnet18")
    text = text.replace("augmentation: none", "augmentation: light").replace(
        "epochs: 2", "epochs: 3, views: 2, precision: float32"
    )
    study_file.write_text(text)
    opened = open_runtime(load_spec(study_file), "cpu")
    for unit in opened.pretrained.chain:
        for module in unit.module.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.1, 0.1)
    return replace(opened, store=FeatureStore(CPU, tmp_path / "features", AMPLE))


def frozen(runtime: StudyRuntime, depth: int, **recipe: object) -> Candidate:
    plain = runtime.space.baseline()
    choices = {**plain.structure.choices, "freeze": depth, "dropout": {"head": 0.3, "depth": 0.4}}
    return Candidate(replace(plain.structure, choices=choices), Recipe({**plain.recipe.choices, **recipe}))


def run(
    runtime: StudyRuntime, candidate: Candidate, change: Callable[[TrainingPlan], TrainingPlan] = lambda plan: plan
) -> TrainingResult:
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return fit(network, change(plan))


def curve(outcome: TrainingResult) -> list[float]:
    return [
        number
        for record in outcome.epochs
        for number in (record.train_loss, *(value for value in record.metrics.values()))
    ]


def plain_views(plan: TrainingPlan) -> TrainingPlan:
    """Train on the same views the plain way: images through the whole network, nothing cached."""
    return replace(
        plan,
        train=plan.train.batches,  # type: ignore[attr-defined]
        val=plan.val.batches,  # type: ignore[attr-defined]
        forward=lambda network, images: network(images),
    )


def test_a_disk_that_turns_out_to_be_full_costs_no_output(
    runtime: StudyRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The array, then its facts, of the training images, then of the validation images: written, then refused."""
    candidate = frozen(runtime, 4)
    undisturbed = curve(run(runtime, candidate, plain_views))
    replace_file, calls, refused = Path.replace, 0, 0

    def refuse(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == refused:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace_file(self, target)

    for refused in range(1, 5):
        calls, place = 0, replace(runtime, store=FeatureStore(CPU, tmp_path / f"refused {refused}", AMPLE))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", refuse)
            disturbed = run(place, candidate)
        assert calls >= refused
        assert curve(disturbed) == pytest.approx(undisturbed, rel=1e-4)


@pytest.mark.parametrize("depth", [2, 5, 9])
def test_cached_training_is_that_of_the_whole_network(runtime: StudyRuntime, depth: int) -> None:
    candidate = frozen(runtime, depth)
    cached = run(runtime, candidate)
    plain = run(runtime, candidate, plain_views)
    assert cached.facts["prefix"]["train"]["source"] == "cached"
    assert curve(cached) == pytest.approx(curve(plain), rel=1e-4)


def test_dropout_inside_the_prefix_stays_switched_off(tiny: Pretrained) -> None:
    units = list(tiny.chain.units)
    noisy = nn.Sequential(units[1].module, nn.Dropout(0.5), nn.BatchNorm2d(8))
    units[1] = replace(units[1], module=noisy)
    chain = replace(tiny.chain, units=tuple(units))
    space = Space(replace(tiny, chain=chain), {})
    plain = space.baseline()
    candidate = Candidate(replace(plain.structure, choices={**plain.structure.choices, "freeze": 3}), plain.recipe)
    network = build.build(
        space.apply(candidate), space.values(candidate), lambda found, choice, _: heads.vector_head(found, 3, choice), 0
    ).train()
    images = torch.randn(6, 3, 16, 16)
    prefix = Prefix(network, choose(CPU, "float32"))
    torch.testing.assert_close(prefix(images), network.prefix(images), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(prefix(images), prefix(images), rtol=0, atol=0)


def test_in_16_bits_batch_norms_are_folded_and_the_network_keeps_its_own(runtime: StudyRuntime) -> None:
    network = runtime.build(frozen(runtime, 9), 0).eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    seen: list[int] = []
    for norm in norms:
        norm.register_forward_hook(lambda *_: seen.append(1))
    images = torch.randn(6, 3, *runtime.input_size)
    exact = Prefix(network, choose(CPU, "float32"))(images)
    assert seen
    seen.clear()
    rounded = Prefix(network, choose(CPU, "bf16"))(images)
    assert not seen
    assert [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)] == norms
    torch.testing.assert_close(rounded.float(), exact, rtol=0.05, atol=0.02 * float(exact.abs().max()))


def test_a_cpu_runs_large_networks_on_few_samples_at_a_time(
    runtime: StudyRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = runtime.build(frozen(runtime, 9), 0).eval()
    sizes: list[int] = []
    network.units[0].register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    images = torch.randn(20, 3, *runtime.input_size)
    whole = Prefix(network, runtime.precision)(images)
    assert sizes == [20]
    sizes.clear()
    monkeypatch.setattr(features, "_PIECE", 1.0)
    torch.testing.assert_close(Prefix(network, runtime.precision)(images), whole, rtol=1e-4, atol=1e-5)
    assert sizes == [8, 8, 4]


def test_nothing_is_computed_twice(runtime: StudyRuntime) -> None:
    first = run(runtime, frozen(runtime, 4)).facts["prefix"]
    assert first["train"]["computed"] == 2 * 27
    assert first["train"]["reused"] == 27
    assert (first["val"]["computed"], first["val"]["reused"]) == (9, 18)
    again = run(runtime, frozen(runtime, 4, batch_size=5)).facts["prefix"]
    assert again["train"]["computed"] == again["val"]["computed"] == 0


def test_training_on_all_samples_finds_what_trials_have_kept(runtime: StudyRuntime) -> None:
    candidate = frozen(runtime, 4)
    run(runtime, candidate)
    own = resampled(runtime, resampling.joined(runtime.dataset), candidate, runtime.spec.search.seed)
    network = own.build(candidate, 0)
    plan = own.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    plan = replace(plan, validates=False)
    result = fit(network, plan)
    assert result.facts["prefix"]["train"]["computed"] == 2 * 9  # two views of what was validated on
    assert result.facts["prefix"]["train"]["reused"] == 2 * 27 + 27 + 9
    whole = plan.train.batches  # type: ignore[attr-defined]
    assert [part.count for part in whole.parts] == [27, 9]
    for (kept, labels), (images, same) in zip(plan.train.epoch(2), whole.epoch(2), strict=True):
        assert torch.equal(labels, same)
        torch.testing.assert_close(kept, network.prefix(images), rtol=1e-4, atol=1e-5)


def test_some_samples_are_unmixed_and_as_the_first_epoch_views_them(runtime: StudyRuntime) -> None:
    candidate = frozen(runtime, 4)
    network = runtime.build(candidate, 0)
    train = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network).train
    whole = torch.cat([inputs for _, inputs in train.batches.every(1, 8)])  # type: ignore[attr-defined]
    chosen = torch.cat(train.batches.order(1))[:10]  # type: ignore[attr-defined]
    kept, labels = zip(*train.some(10), strict=True)  # type: ignore[attr-defined]
    torch.testing.assert_close(torch.cat(kept), network.prefix(whole[chosen]), rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.cat(labels), train.batches.targets(chosen, 1))  # type: ignore[attr-defined]


def test_a_deeper_prefix_starts_from_a_shallower_one(runtime: StudyRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    run(runtime, frozen(runtime, 4))
    starts: list[int] = []
    call = Prefix.outputs

    def watched(self: Prefix, inputs: torch.Tensor, start: int, units: Sequence[int]) -> Maps:
        starts.append(start)
        return call(self, inputs, start, units)

    monkeypatch.setattr(Prefix, "outputs", watched)
    deeper = run(runtime, frozen(runtime, 7))
    assert set(starts) == {4}
    plain = run(runtime, frozen(runtime, 7), plain_views)
    assert curve(deeper) == pytest.approx(curve(plain), rel=1e-4)


def test_an_edit_inside_the_prefix_is_another_prefix(runtime: StudyRuntime) -> None:
    network = runtime.build(frozen(runtime, 4), 0)
    digests = Prefix(network, runtime.precision).digests
    weight = next(runtime.pretrained.chain.units[3].module.parameters())
    other = runtime.build(frozen(runtime, 4), 0)
    other.units[3] = torch.nn.Sequential(other.units[3])
    changed = Prefix(other, runtime.precision).digests
    assert weight.requires_grad is False
    assert changed[:3] == digests[:3]
    assert changed[3] != digests[3]


MIXED = ({"kind": "mixup", "alpha": 0.5}, {"kind": "cutmix", "alpha": 1.0})


@pytest.mark.parametrize("mixing", MIXED, ids=lambda mixing: mixing["kind"])
def test_what_frozen_units_give_is_mixed_and_so_computed_once(
    runtime: StudyRuntime, mixing: Mapping[str, object]
) -> None:
    """Every output of a batch is its own and its neighbour's, in the proportion that its label says."""
    mixed, plain = (
        runtime.plan(
            candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, runtime.build(candidate, 0)
        ).train.epoch(1)
        for candidate in (frozen(runtime, 4, mixing=mixing), frozen(runtime, 4))
    )
    for (outputs, probabilities), (own, labels) in zip(mixed, plain, strict=True):
        one_hot = nn.functional.one_hot(labels, probabilities.shape[1]).float()
        # Labels of a batch in which neighbours differ give the share away.
        share = next(
            float(row[label])
            for row, label, other in zip(probabilities, labels, labels.roll(1), strict=True)
            if label != other
        )
        assert torch.allclose(probabilities, share * one_hot + (1 - share) * one_hot.roll(1, 0))
        if mixing["kind"] == "mixup":
            assert torch.allclose(outputs, share * own + (1 - share) * own.roll(1, 0), atol=1e-5)
        else:
            foreign = (outputs == own.roll(1, 0)) & (outputs != own)
            assert bool(((outputs == own) | foreign).all())
            places = foreign.any(dim=(0, 1)) if share < 1 else foreign.new_zeros(outputs.shape[2:])
            assert float(places.float().mean()) == pytest.approx(1 - share)
    outcome = run(runtime, frozen(runtime, 4, mixing=mixing))
    assert outcome.facts["prefix"]["train"]["source"] == "cached"
    small = replace(runtime, store=FeatureStore(CPU, None, Budgets(0, 100, 0)))
    computed_anew = run(small, frozen(runtime, 4, mixing=mixing))
    assert computed_anew.facts["prefix"]["train"]["source"] == "recomputed"
    assert curve(computed_anew) == pytest.approx(curve(outcome), rel=1e-4)


def test_cutmix_of_what_is_no_map_mixes_images(runtime: StudyRuntime) -> None:
    candidate = frozen(runtime, 4, mixing=MIXED[1])
    network = runtime.build(candidate, 0)
    places = runtime.batches(Split.TRAIN, 5, candidate)
    assert places.can_mix((64, 8, 8))
    assert not places.can_mix((197, 384))
    assert not runtime.batches(Split.TRAIN, 5, frozen(runtime, 4)).can_mix((64, 8, 8))
    network.chain = replace(network.chain, units=(*network.chain.units[:3], flattened(network.chain.units[3])))
    plan = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    assert plan.train.account.why == "mixed images are new in every step"  # type: ignore[attr-defined]
    assert plan.train.batches.views is None  # type: ignore[attr-defined]


def flattened(unit: Unit) -> Unit:
    """Return ``unit`` with tokens for a map."""
    return replace(unit, module=nn.Sequential(unit.module, nn.Flatten(2)))


@pytest.mark.parametrize("why", ["off", "no room"])
def test_where_nothing_is_kept_training_goes_on_and_says_so(runtime: StudyRuntime, why: str) -> None:
    candidate = frozen(runtime, 4)
    if why == "off":
        training = replace(runtime.spec.training, prefix_cache="off")
        runtime = replace(runtime, spec=replace(runtime.spec, training=training), store=None)
    if why == "no room":
        runtime = replace(runtime, store=FeatureStore(CPU, None, Budgets(0, 100, 0)))
    outcome = run(runtime, candidate)
    found = outcome.facts["prefix"]["train"]
    assert found["source"] == "recomputed"
    assert {"off": "switched off", "no room": "budgets"}[why] in found["why"]
    assert len(outcome.epochs) == 3


def test_views_that_cannot_differ_are_one(runtime: StudyRuntime) -> None:
    outcome = run(runtime, frozen(runtime, 4, augmentation="none"))
    assert outcome.facts["prefix"]["train"]["views"] == 1


def test_images_get_new_views_where_nothing_is_frozen(runtime: StudyRuntime) -> None:
    candidate = frozen(runtime, 0)
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    assert plan.train.views is None  # type: ignore[attr-defined]
    assert runtime.batches(Split.TRAIN).views is None
    assert plan.facts() == {}


class Pyramid(nn.Module):
    """A head on the outputs of chosen units: the mean of each map, side by side."""

    def __init__(self, features: Features, taps: tuple[int, ...], classes: int) -> None:
        super().__init__()
        known = {tap.unit: tap.channels for tap in features.taps}
        self.taps = taps
        self.out = nn.Linear(sum(known[tap] for tap in taps), classes)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.out(torch.cat([one.mean((2, 3)) for one in maps], dim=1))


class Tapping(Classification):
    """Classification by a head on several units."""

    def __init__(self, places: tuple[int, ...]) -> None:
        self.places = places

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, object] | None = None
    ) -> nn.Module:
        return Pyramid(features, tuple(features.taps[place].unit for place in self.places), classes)


@pytest.mark.parametrize(("depth", "places"), [(4, (1, 2, 3)), (6, (0, 1, 2)), (9, (1, 3)), (1, (2, 3)), (7, (0, 1))])
def test_a_head_on_several_units_learns_from_kept_outputs_what_it_does_without(
    runtime: StudyRuntime, depth: int, places: tuple[int, ...]
) -> None:
    runtime = replace(runtime, task=Tapping(places))
    candidate = frozen(runtime, depth)
    cached = run(runtime, candidate)
    assert cached.facts["prefix"]["train"]["source"] == "cached"
    assert curve(cached) == pytest.approx(curve(run(runtime, candidate, plain_views)), rel=1e-4)


def test_outputs_of_several_units_are_those_of_shallower_prefixes(
    runtime: StudyRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    tapping = replace(runtime, task=Tapping((1, 2, 3)))
    first = run(tapping, frozen(tapping, 9)).facts["prefix"]["train"]
    # Every view once, though three outputs are kept; the third epoch finds the first view's.
    assert (first["computed"], first["reused"]) == (2 * 27, 27)
    starts: list[int] = []
    call = Prefix.outputs

    def watched(self: Prefix, inputs: torch.Tensor, start: int, units: Sequence[int]) -> Maps:
        starts.append(start)
        return call(self, inputs, start, units)

    monkeypatch.setattr(Prefix, "outputs", watched)
    again = run(runtime, frozen(runtime, 9, head_start="random")).facts["prefix"]["train"]
    assert (again["computed"], again["reused"]) == (0, 3 * 27)
    assert starts == []


def test_outputs_that_are_too_large_together_are_computed_again(runtime: StudyRuntime, tmp_path: Path) -> None:
    whole = run(replace(runtime, task=Tapping((0, 1, 2, 3))), frozen(runtime, 9))
    size = whole.facts["prefix"]["train"]["bytes_an_image"] * 27 * 2
    small = FeatureStore(CPU, tmp_path / "small", Budgets(0, size // 2, size // 2))
    poor = run(replace(runtime, task=Tapping((0, 1, 2, 3)), store=small), frozen(runtime, 9))
    assert poor.facts["prefix"]["train"]["source"] == "recomputed"
    assert "more than the budgets allow" in poor.facts["prefix"]["train"]["why"]
    assert curve(poor) == pytest.approx(curve(whole), rel=1e-4)
