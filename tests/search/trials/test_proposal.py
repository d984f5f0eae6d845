from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from unittest.mock import Mock

import pytest

from search.errors import ConstraintError
from search.records.objectives import COSTS, Goals, LatencyOptions, read_constraints
from search.records.study import EpochRecord, Objective, TrialState
from search.runtime import objective_values
from search.runtime.study_record import study_record
from search.runtime.study_runtime import open_runtime
from search.runtime.training_cost import cost_of
from search.sampling.cost_model import SecondsModel
from search.sampling.optuna_study import SamplerOptions, data_seed
from search.spec.load import load_spec
from search.store import connection, leases, migrate, writing
from search.trials import draws, proposal
from search.trials.portfolio import Planned, plan_of
from search.trials.proposal import Proposer
from search.workers.options import RunOptions
from search.workers.worker import StopSignal, open_context
from spaces.decisions import epochs, optimizer
from spaces.networks.space import Space

Open = Callable[..., Proposer]


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    engine.dispose()
    return url


@pytest.fixture
def proposer(study_file: Path, tmp_path: Path, store: str) -> Iterator[Open]:
    engine = connection.connect(store)

    def open_one(
        name: str = "colours", space: dict[str, object] | None = None, wanted: Goals | None = None, **search: object
    ) -> Proposer:
        spec = load_spec(study_file)
        options = replace(spec.search, trials=50, **search)  # type: ignore[arg-type]
        opened = spec.space if space is None else {key: spec.space[key] for key in space}
        runtime = open_runtime(replace(spec, name=name, search=options, space=opened, wanted=wanted), "cpu")
        writing.create_study(engine, study_record(runtime))
        with open_context(runtime, engine, RunOptions(storage=store), tmp_path / "out", StopSignal()) as context:
            return Proposer(runtime, context.sampling, context.history, engine)

    yield open_one
    engine.dispose()


def finish(own: Proposer, number: int, value: float, *, epochs: int = 0) -> str:
    """Let a trial of the proposed candidate end with ``value``; return the candidate's fingerprint."""
    proposal = own.propose(number)
    claim = leases.claim(own.engine, own.runtime.spec.name, "w", 60)
    assert claim is not None
    assert claim.number == number
    writing.record_candidate(
        own.engine, claim, writing.Started(
        optuna_number=own.sampling.open(proposal.asked), params=proposal.asked.params,
        distributions=proposal.asked.distributions, candidate=proposal.candidate.to_json(), words="", seed=0,
        is_baseline=proposal.is_baseline, versions={}, dataset_fingerprint="", extras=proposal.extras,
    ))  # fmt: skip
    for epoch in range(1, epochs + 1):
        writing.record_epochs(own.engine, claim, (EpochRecord(epoch, 0.1, {"accuracy": value}),))
    writing.finish_trial(
        own.engine, claim, writing.Ended(
        state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="",
        seconds=proposal.cost.training_flops / 1e9,
    ))  # fmt: skip
    return proposal.candidate.fingerprint


def test_the_first_is_the_plain_recipe(proposer: Open) -> None:
    own = proposer(warm_start=3)
    found = own.propose(0)
    assert found.is_baseline
    assert found.candidate == own.runtime.space.baseline()


def test_the_same_trial_is_proposed_the_same_candidate(proposer: Open) -> None:
    own = proposer()
    assert own.propose(1).candidate == own.propose(1).candidate != own.propose(2).candidate


def test_a_candidate_tried_before_is_drawn_again(proposer: Open) -> None:
    own = proposer(space={"freeze": {}})  # a dozen candidates
    seen = [finish(own, number, 0.5) for number in range(8)]
    assert len(set(seen)) == 8


def test_an_exhausted_space_continues_with_repetitions(proposer: Open) -> None:
    own = proposer(space={"freeze": {}}, sampler=SamplerOptions(name="random"))
    seen = [finish(own, number, 0.5) for number in range(30)]
    assert 8 < len(set(seen)) <= own.runtime.space.choices["freeze"][1] + 1


def test_the_best_of_an_earlier_study_are_tried_first(proposer: Open) -> None:
    earlier = proposer("earlier")
    fingerprints = [finish(earlier, number, 0.1 * number) for number in range(5)]
    own = proposer(warm_start=2)
    finish(own, 0, 0.5)
    first, second = own.propose(1), own.propose(2)
    assert [first.candidate.fingerprint, second.candidate.fingerprint] == fingerprints[:2:-1]
    assert first.extras["origin"] == {"way": "warm", "study": "earlier", "trial": 4}
    assert first.asked.params == own.runtime.space.params(first.candidate)
    third = own.propose(3)
    assert third.extras["origin"]["way"] != "warm"


def test_a_warm_start_is_never_tried_twice_nor_is_the_plain_recipe(proposer: Open) -> None:
    earlier = proposer("earlier")
    finish(earlier, 0, 0.9)
    best = finish(earlier, 1, 0.8)
    own = proposer(warm_start=3)
    assert finish(own, 0, 0.5) == own.runtime.space.baseline().fingerprint
    assert finish(own, 1, 0.5) == best
    assert own.propose(2).extras["origin"]["way"] != "warm"


def test_candidates_outside_this_space_are_passed_over(proposer: Open) -> None:
    earlier = proposer("earlier")
    for number in range(4):
        finish(earlier, number, 0.1 * number)
    own = proposer(space={"freeze": {}}, warm_start=True)
    assert own.propose(1).extras["origin"]["way"] != "warm"


def test_candidates_that_the_study_file_names_are_tried_before_all_others(proposer: Open) -> None:
    earlier = proposer("earlier")
    for number in range(4):
        finish(earlier, number, 0.1 * number)
    named = earlier.propose(9).candidate
    other = replace(named, structure=replace(named.structure, backbone="torchvision:resnet18"))
    own = proposer(warm_start=(other.to_json(), named.to_json()))
    finish(own, 0, 0.5)
    found = own.propose(1)
    assert found.candidate == named
    assert found.extras["origin"] == {"way": "warm", "study": "study file", "trial": 1}
    finish(own, 1, 0.5)
    assert own.propose(2).extras["origin"]["way"] != "warm"


def test_cost_aware_search_prefers_cheap_candidates_at_equal_promise(proposer: Open) -> None:
    own = proposer(sampler=SamplerOptions(name="cost_aware", startup=4))
    for number in range(6):
        finish(own, number, 0.5)  # nothing is better than anything
    chosen, offered = 0.0, 0.0
    for number in range(6, 12):
        chosen += own._model().seconds(own.propose(number).cost)
        offered += fmean(own._model().seconds(one.cost) for one in own._untried(number, 8))
    assert chosen < 0.9 * offered


def bounded(**bounds: str) -> Goals:
    return Goals((Objective("accuracy", maximize=True),), read_constraints(bounds, tuple(COSTS)))


def test_candidates_that_are_too_large_are_drawn_again_and_remembered(proposer: Open) -> None:
    own = proposer(wanted=bounded(parameters="< 300k"))  # the plain recipe has 724k
    finish(own, 0, 0.5)
    proposals = []
    for number in range(1, 6):
        proposals.append(own.propose(number))
        finish(own, number, 0.5)
    assert all(found.known["parameters"] < 300e3 for found in proposals)
    rejected = [one for found in proposals for one in found.rejected]
    assert rejected
    assert all(one.constraints["parameters < 300k"] > 0 for one in rejected)
    own.history.refresh()
    assert [one for trial in own.history.trials for one in trial.rejected] == rejected
    assert len(own.history.trials) == 6


def test_the_plain_recipe_runs_whatever_it_breaks(proposer: Open) -> None:
    own = proposer(wanted=bounded(parameters="< 300k"))
    found = own.propose(0)
    assert found.is_baseline
    assert found.known["parameters"] > 300e3


def test_constraints_that_no_candidate_satisfies_are_reported_before_anything_is_trained(proposer: Open) -> None:
    own = proposer(wanted=bounded(parameters="< 1k", flops="< 1T"))
    with pytest.raises(ConstraintError, match=r"none of 66 candidates .* breaks parameters < 1k by [0-9,]+ times"):
        own.propose(0)


def test_a_measured_constraint_that_no_candidate_satisfies_ends_the_drawing(proposer: Open) -> None:
    wanted = replace(bounded(latency="< 0.000001ms"), latency=LatencyOptions(warmup=0, runs=1))
    own = proposer(space={"freeze": {}}, wanted=wanted)
    finish(own, 0, 0.5)
    with pytest.raises(ConstraintError, match=r"none of 64 candidates .* latency < 0\.000001ms"):
        own.propose(1)


def test_if_no_draw_fits_the_smallest_candidate_is_tried(proposer: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    own = proposer(wanted=bounded(parameters="< 800k"))
    smallest = own.runtime.space.extremes()[0]
    least = objective_values.counted(own.runtime, smallest)["parameters"]
    tight = proposer("tight", wanted=bounded(parameters=f"<= {least:.0f}"), sampler=SamplerOptions(name="random"))
    monkeypatch.setattr(proposal, "REJECTIONS", 2)
    finish(tight, 0, 0.5)
    assert tight.propose(1).known["parameters"] == least


def test_parallel_heads_satisfy_the_constraints(proposer: Open) -> None:
    own = proposer(space={"freeze": {}, "head": {}, "optimizer": {}}, wanted=bounded(parameters="< 740k"))
    other = own.runtime.space.baseline()
    found = [own.propose_beside(number, other) for number in range(1, 5)]
    assert all(one is None or one.known["parameters"] < 740e3 for one in found)


def test_only_parameters_with_an_effect_are_stored_and_learnt_from(proposer: Open) -> None:
    own = proposer()
    settled = 0
    for number in range(1, 12):
        found = own.propose(number)
        space = own.runtime.space
        assert found.asked.params == space.params(found.candidate)
        assert set(found.asked.distributions) == set(found.asked.params)
        frozen = found.candidate.structure.choices["freeze"] == len(space.apply(found.candidate))
        assert not frozen or not any("lr_backbone" in name for name in found.asked.params)
        settled += frozen
    assert settled


def test_a_portfolio_comes_first_and_the_plain_recipe_after_five_of_it(proposer: Open) -> None:
    own = proposer(portfolio="on")
    found = [own.propose(0)]
    for number in range(8):
        finish(own, number, 0.5 + 0.01 * number)
        found.append(own.propose(number + 1))
    ways = [proposal.extras["origin"]["way"] for proposal in found]
    assert ways[:7] == ["portfolio"] * 5 + ["plain", "portfolio"]
    assert found[0].extras["origin"]["name"] == "linear probe"
    assert [proposal.is_baseline for proposal in found].index(True) == 5
    assert len({proposal.candidate.fingerprint for proposal in found}) == len(found)


def test_a_member_that_breaks_a_constraint_on_larger_maps_is_tried_on_its_own(
    proposer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = proposer(portfolio="on", wanted=bounded(parameters="< 2M"))
    member = own.propose(0).candidate
    space = own.runtime.space
    head = replace(space.values(member)["head"], widths=(2**16,))
    large = space.candidate({**space.values(member), "head": head})
    assert objective_values.counted(own.runtime, large)["parameters"] > 2e6
    monkeypatch.setattr(proposal, "on_larger_maps", lambda *_: large)
    assert own.propose(0).candidate == member


def test_after_the_portfolio_candidates_are_near_good_ones_or_of_the_priors(proposer: Open) -> None:
    own = proposer(portfolio="on", space={"optimizer": {}}, sampler=SamplerOptions(startup=40))
    plan = len(plan_of(own.runtime))
    for number in range(plan):
        finish(own, number, 0.01 * number)
    ways = set()
    for number in range(plan, plan + 12):
        proposal = own.propose(number)
        origin = proposal.extras["origin"]
        ways.add(origin["way"])
        if origin["way"] == "neighbour":
            assert origin["trial"] in range(plan - 3, plan)
        assert not own._draws().why_hopeless(proposal.candidate)
    assert ways == {"neighbour", "prior"}


def test_what_is_bound_to_be_bad_is_drawn_where_a_study_holds_nothing_else(proposer: Open) -> None:
    own = proposer(portfolio="on", space={"optimizer": {}}, sampler=SamplerOptions(startup=40))
    wild = optimizer.Range(names=("sgd",), sgd_head=(0.09, 0.1))
    own = replace(own, runtime=replace(own.runtime, space=Space(own.runtime.pretrained, {"optimizer": wild})))
    plan = len(plan_of(own.runtime))
    proposal = own.propose(plan + 1)
    assert own._draws().why_hopeless(proposal.candidate)


def test_different_data_draw_different_candidates(proposer: Open) -> None:
    one = data_seed(0, "this data")
    assert one == data_seed(0, "this data")
    assert one != data_seed(0, "that data")
    assert one != data_seed(1, "this data")


@pytest.mark.parametrize(("timeout", "is_tried"), [(1e9, True), (1e-3, False), (None, True)])
def test_the_plain_recipe_is_left_out_where_it_would_take_most_of_the_time(
    proposer: Open, timeout: float | None, is_tried: bool
) -> None:
    own = proposer(portfolio="on", timeout=timeout)
    ways = []
    for number in range(7):
        ways.append(own.propose(number).extras["origin"]["way"])
        finish(own, number, 0.5, epochs=2)
    assert ("plain" in ways) is is_tried


@pytest.mark.parametrize(("factor", "is_tried"), [(2.1, True), (1.9, False)])
def test_a_member_that_would_take_more_than_half_of_the_time_is_passed_over(
    proposer: Open, factor: float, is_tried: bool
) -> None:
    own = proposer(portfolio="on")
    first = own.propose(0)
    finish(own, 0, 0.5, epochs=2)
    second = own.propose(1)
    assert second.extras["origin"]["way"] == "portfolio"
    own.history.refresh()
    seconds = SecondsModel(own.history.trials).seconds(cost_of(own.runtime, second.candidate))
    limited = replace(own.runtime.spec, search=replace(own.runtime.spec.search, timeout=factor * seconds))
    own = replace(own, runtime=replace(own.runtime, spec=limited))
    assert (own.propose(1).candidate == second.candidate) is is_tried
    assert first.candidate != own.propose(1).candidate


def test_a_member_that_would_take_too_long_is_tried_for_fewer_epochs(
    proposer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "_FEWEST_STEPS", 1)
    own = proposer(portfolio="on", timeout=1e6)
    wide = replace(own.runtime.spec, space={**own.runtime.spec.space, "epochs": epochs.Range()})
    own = replace(own, runtime=open_runtime(wide, "cpu"))
    number = 0
    while own.runtime.is_linear_probe(member := own.propose(number).candidate):
        finish(own, number, 0.5, epochs=2)
        number += 1
    whole_s = own._model().seconds(own._cost(member))
    proposal = replace(own, fits=lambda seconds: seconds < 0.9 * whole_s).propose(number)
    values = own.runtime.space.values
    assert values(proposal.candidate) == {**values(member), "epochs": 0.5}
    assert proposal.origin["whole_epochs"] == own.runtime.epochs(member) > own.runtime.epochs(proposal.candidate)


def test_members_that_would_take_too_long_are_costed_once_and_not_again_for_every_trial(
    proposer: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = proposer(portfolio="on", timeout=1e6)
    finish(own, 0, 0.5, epochs=2)
    counted = Mock(side_effect=cost_of)
    monkeypatch.setattr(proposal, "cost_of", counted)
    hurried = replace(own, fits=lambda _: False)
    hurried.propose(1)
    passed_over = {item.candidate.fingerprint for item in plan_of(own.runtime) if isinstance(item, Planned)}
    known = passed_over & set(own.costs)
    assert known
    counted.reset_mock()
    hurried.propose(2)
    assert not known & {call.args[1].fingerprint for call in counted.call_args_list}


def test_a_drawn_candidate_ends_in_time_or_is_a_linear_probe(proposer: Open) -> None:
    own = proposer(portfolio="on", timeout=1e6)
    for number in range(len(plan_of(own.runtime)) + 1):
        finish(own, number, 0.5 + number / 100, epochs=2)
    number = len(own.history.trials)
    asked: list[float] = []

    def fits(seconds: float) -> bool:
        asked.append(seconds)
        return False

    proposal = replace(own, fits=fits).propose(number)
    assert asked
    assert own.runtime.is_linear_probe(proposal.candidate)
    assert proposal.candidate.fingerprint not in own.history.fingerprints
    limit = sorted(asked)[len(asked) // 2]
    bounded = replace(own, fits=lambda seconds: seconds <= limit)
    found = bounded.propose(number).candidate
    is_probe = own.runtime.is_linear_probe(found)
    assert is_probe or SecondsModel(own.history.trials).seconds(cost_of(own.runtime, found)) <= limit
