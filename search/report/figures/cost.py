"""Where the device time went, and what pruning and caches saved."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import plotly.graph_objects as go

from search.records.plain_text import numbered
from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import parameters, shown_trials, theme, wording
from search.report.figures._base import Figure, Need, Section
from search.report.tables import epochs_saved

PREFIX = "prefix"
"""Key of ``TrialRecord.extras``: use of the frozen prefix by split (units, images computed and reused)."""
_MOST_BARS = 12


class Bar(NamedTuple):
    """Minutes of all trials of one kind; ``saved`` ones were not spent."""

    label: str
    minutes: float
    trials: int
    saved: bool = False


class Rows(NamedTuple):
    """One set of bars by outcome, then one for each parameter by its value."""

    views: tuple[tuple[str, tuple[Bar, ...]], ...]


class Cost(Figure):
    """Where the seconds went."""

    name, title, order, section = "cost", "Where the device time went", 82, Section.COST
    needs = frozenset({Need.EPOCHS})
    least_width = 560
    how_to_read = (
        "Minutes of all trials together. Open bars were not spent: epochs that pruned trials did not run, at each "
        "trial's own pace, and prefixes whose output was reused."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        timed = [trial for trial in study.trials if trial.seconds > 0]
        if not timed:
            return None
        bars = []
        for state in TrialState:
            ended = [trial for trial in timed if trial.state is state]
            if ended:
                bars.append(Bar(state.value, sum(trial.seconds for trial in ended) / 60, len(ended)))
        bars += _saved(study, timed)
        by_value = ((name, _by(name, timed)) for name in sorted({name for trial in timed for name in trial.params}))
        return Rows((("outcome", tuple(bars)), *((name, costs) for name, costs in by_value if costs)))

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No trial has recorded its seconds yet.")
        figure = go.Figure()
        for index, (_, bars) in enumerate(rows.views):
            shown = bars[::-1]
            figure.add_bar(
                x=[bar.minutes for bar in shown],
                y=[bar.label for bar in shown],
                orientation="h",
                text=[f" {wording.duration(60 * bar.minutes)}, {numbered(bar.trials, 'trials')}" for bar in shown],
                textposition="outside",
                cliponaxis=False,
                marker={
                    "color": ["rgba(86,180,233,0.15)" if bar.saved else theme.BLUE for bar in shown],
                    "line": {"color": [theme.SKY if bar.saved else theme.BLUE for bar in shown], "width": 2},
                },
                hovertemplate="%{y}: %{x:.1f} min<extra></extra>",
                visible=index == 0,
                showlegend=False,
            )
        tallest = max(len(bars) for _, bars in rows.views)
        figure = theme.styled(figure, height=110 + 30 * tallest, x="minutes of device time")
        figure.update_xaxes(range=_range(rows.views[0][1]))
        figure.update_yaxes(type="category")
        sets = list(range(len(rows.views)))
        views = [
            (f"by {parameters.label(label)}", theme.visible_only(sets, index), {"xaxis.range": _range(bars)})
            for index, (label, bars) in enumerate(rows.views)
        ]
        return theme.menu(figure, views)


def _range(bars: tuple[Bar, ...]) -> list[float]:
    return [0, max(bar.minutes for bar in bars) * 1.45]


def _saved(study: StudyRecord, timed: list[TrialRecord]) -> list[Bar]:
    pruned = [trial for trial in timed if trial.state is TrialState.PRUNED and shown_trials.epochs_run(trial)]
    bars = []
    saved = sum(trial.seconds / shown_trials.epochs_run(trial) * epochs_saved(study, trial) for trial in pruned)
    if saved:
        bars.append(Bar("saved by pruning (estimate)", saved / 60, len(pruned), True))
    saved, count = _saved_by_cache(timed)
    if saved > 0:
        bars.append(Bar("saved by cached features (estimate)", saved / 60, count, True))
    return bars


def _saved_by_cache(timed: list[TrialRecord]) -> tuple[float, int]:
    """Return the seconds that reused outputs of frozen prefixes would have taken, and the number of such trials.

    An image costs what it took in trials that computed a prefix of as many units; if none did, what the next
    shallower one took, which is less.
    """
    accounts = [(trial.number, account) for trial in timed for account in _accounts(trial)]
    spent: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for _, account in accounts:
        if account["computed"] and account["seconds"]:
            spent[account["units"]][0] += account["seconds"]
            spent[account["units"]][1] += account["computed"]
    saved, trials = 0.0, set()
    for number, account in accounts:
        known = [units for units in spent if units <= account["units"]]
        if account["reused"] and known:
            seconds, images = spent[max(known)]
            saved += account["reused"] * seconds / images
            trials.add(number)
    return saved, len(trials)


def _accounts(trial: TrialRecord) -> list[dict[str, Any]]:
    recorded = trial.extras.get(PREFIX)
    splits = recorded.values() if isinstance(recorded, dict) else ()
    wanted = ("units", "computed", "reused", "seconds")
    return [
        account
        for account in splits
        if isinstance(account, dict) and all(isinstance(account.get(name), int | float) for name in wanted)
    ]


def _by(name: str, timed: list[TrialRecord]) -> tuple[Bar, ...]:
    having = [trial for trial in timed if name in trial.params]
    values = [trial.params[name] for trial in having]
    distinct = sorted({str(value) for value in values}, key=_natural)
    groups: dict[str, list[float]] = defaultdict(list)
    if len(distinct) < 2:
        return ()
    if len(distinct) <= _MOST_BARS:
        for value, trial in zip(values, having, strict=True):
            groups[str(value)].append(trial.seconds)
    elif all(isinstance(value, int | float) for value in values):
        ordered = sorted(having, key=lambda trial: trial.params[name])
        for part in range(6):
            chosen = ordered[part * len(ordered) // 6 : (part + 1) * len(ordered) // 6]
            if chosen:
                ends = [parameters.value(float(one.params[name])) for one in (chosen[0], chosen[-1])]
                label = " to ".join(ends)
                groups[label] += [trial.seconds for trial in chosen]
    else:
        return ()
    return (
        tuple(Bar(label, sum(seconds) / 60, len(seconds)) for label, seconds in groups.items())
        if len(distinct) > _MOST_BARS
        else tuple(Bar(label, sum(groups[label]) / 60, len(groups[label])) for label in distinct)
    )


def _natural(text: str) -> tuple[float, str]:
    try:
        return float(text), ""
    except ValueError:
        return float("inf"), text


figure = Cost()
