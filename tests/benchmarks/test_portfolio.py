from __future__ import annotations

import pytest
from portfolio import greedy, left_out, offered, regret

TABLE = {
    "birds": {"probe": 0.80, "stage": 0.90, "all": 0.85, "lora": 0.70},
    "cars": {"probe": 0.70, "stage": 0.60, "all": 0.75, "lora": 0.71},
    "dogs": {"probe": 0.90, "stage": 0.88, "all": 0.80, "lora": 0.70},
}

ALIKE = dict.fromkeys(("probe", "stage", "all", "lora"), 10.0)


def test_regret_is_what_the_best_of_all_members_would_have_added() -> None:
    assert regret(TABLE, ["probe"], list(TABLE)) == pytest.approx((0.10 + 0.05 + 0.00) / 3)
    assert regret(TABLE, ["probe", "stage", "all"], list(TABLE)) == 0


def test_the_portfolio_grows_by_what_lowers_the_regret_most() -> None:
    # After the probe, `stage` takes 0.10 from birds, `all` 0.05 from birds and 0.05 from cars: the first of equals.
    order = greedy(TABLE, list(TABLE), "probe", ALIKE)
    assert order[0] == "probe"
    assert set(order[1:3]) == {"stage", "all"}
    assert order[3] == "lora"
    assert greedy(TABLE, ["birds"], "probe", ALIKE, 2) == ["probe", "stage"]


def test_what_lowers_it_in_less_time_comes_first() -> None:
    assert greedy(TABLE, ["cars"], "probe", ALIKE)[1] == "all"
    assert greedy(TABLE, ["cars"], "probe", {**ALIKE, "lora": 1.0})[1] == "lora"  # a fifth of the gain in a tenth


def test_leave_one_set_out_never_looks_at_the_set_that_it_judges() -> None:
    changed = {**TABLE, "cars": {**TABLE["cars"], "lora": 0.99}}
    assert greedy(changed, ["birds", "dogs"], "probe", ALIKE) == greedy(TABLE, ["birds", "dogs"], "probe", ALIKE)
    found = left_out(TABLE, "probe", ALIKE)
    assert set(found) == {1, 2, 3, 4}
    assert found[4] == (pytest.approx(0), pytest.approx(0))
    assert found[1][0] == pytest.approx(regret(TABLE, ["probe"], list(TABLE)))


def test_every_member_of_portfolio_and_pool_is_offered_once() -> None:
    names = [member.name for member in offered()]
    assert names[0] == "linear probe"
    assert len(set(names)) == len(names)
