"""What a study is doing now: how far it is, when it will be done, and how the trials that run are learning."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dash import dcc, html

from search.dashboard import components
from search.records.plain_text import numbered
from search.records.study import OPEN, Refit, Repeat, StudyRecord, TrialRecord, TrialState, of_target
from search.report import tables, theme, wording

MOST = 4
"""Running trials that are shown with their curves."""
_RECENT = 20
"""Trials that ended last, from which the time left is judged: early ones may have had other workers beside them."""
_WIDTH, _HEIGHT, _EDGE = 180, 40, 4


def shown(study: StudyRecord) -> list[TrialRecord]:
    """Return the running trials whose curves are shown."""
    return [trial for trial in study.trials if trial.state is TrialState.RUNNING][:MOST]


def parts(study: StudyRecord, now: datetime) -> list[Any]:
    """Return a bar, the time left and what runs: trials, or trainings after the search; nothing while none does."""
    trials, further = shown(study), _further(study)
    if not trials and not further:
        return []
    done = sum(trial.state.is_finished for trial in study.trials)
    ahead = [_bar(_trials_words(study, done, now), "Trials done", done, study.target)] if trials else []
    return [
        html.Section(
            [part for bar in (*ahead, *further) for part in bar] + [_line(study, trial) for trial in trials],
            className="running",
            **components.aria(label="Running now"),
        )
    ]


def _trials_words(study: StudyRecord, done: int, now: datetime) -> str:
    words = f"{of_target(done, study.target)} trials done"
    pace = None if study.target >= OPEN else seconds_left(study, now)
    limit = limit_left(study, now)
    if limit is not None and (pace is None or limit < pace):
        return f"{words}; the time limit leaves {wording.duration(round(limit))}, the final model included"
    return f"{words}, about {wording.duration(round(pace))} left" if pace else words


def _bar(words: str, label: str, done: int, most: int) -> list[Any]:
    share: Any = {} if most >= OPEN else {"value": str(done), "max": str(most)}
    return [html.P(words), html.Progress(**share, **components.aria(label=label))]


def _further(study: StudyRecord) -> list[list[Any]]:
    """Return a bar for each kind of training outside of the search that runs now."""
    kinds: tuple[tuple[str, Sequence[Repeat | Refit]], ...] = (
        ("The best candidates are trained again with fresh seeds", study.repeats),
        ("The final model is being trained", study.finals),
        ("A candidate is trained for use", study.refits),
    )
    bars = []
    for words, trainings in kinds:
        states = [training.state for training in trainings]
        if TrialState.RUNNING in states:
            done = sum(state.is_finished for state in states)
            bars.append(_bar(f"{words}: {done} of {numbered(len(states), 'trainings')} done", words, done, len(states)))
    return bars


def limit_left(study: StudyRecord, now: datetime) -> float | None:
    """Return the seconds that a time limit leaves the study's first run; None without one, and in later runs."""
    limit = (((study.spec or {}).get("study") or {}).get("search") or {}).get("timeout")
    if not isinstance(limit, int | float) or study.created_at is None:
        return None
    left = limit - (now - study.created_at).total_seconds()
    return left if left > 0 else None


def seconds_left(study: StudyRecord, now: datetime) -> float | None:
    """Return the seconds until the study has its trials, at the pace of the last ones; None before the first ended."""
    ended = [trial for trial in study.trials if trial.started_at is not None and trial.finished_at is not None]
    ended.sort(key=lambda trial: trial.finished_at or now)
    recent = ended[-_RECENT:]
    if not recent:
        return None
    begin = min(trial.started_at or now for trial in recent)
    last = recent[-1].finished_at or now
    pace = (last - begin).total_seconds() / len(recent)
    waiting = study.target - sum(trial.state.is_finished for trial in study.trials)
    return max(waiting * pace - (now - last).total_seconds(), 0.0)


def _line(study: StudyRecord, trial: TrialRecord) -> html.P:
    values = [(record.epoch, record.metrics.get(study.metric)) for record in trial.epochs]
    known = [(epoch, value) for epoch, value in values if value is not None and wording.finite(value)]
    name, most = wording.metric_name(study.metric), max(tables.budget(study, trial), len(values), 1)
    words = f" is in epoch {min(len(values) + 1, most)} of {most}"
    words += f", {name} {wording.number(known[-1][1])} so far" if known else ""
    link = dcc.Link(f"Trial {trial.number}", href=components.trial_path(study.name, trial.number))
    best = study.best.value if study.best is not None else None
    alternative = f"{name} by epoch: {', '.join(wording.number(value) for _, value in known)}"
    curve = html.Img(src=_curve(known, most, best), alt=alternative, width=_WIDTH, height=_HEIGHT)
    return html.P([link, words, *([curve] if known else [])])


def _curve(points: Sequence[tuple[int, float]], most: int, best: float | None) -> str:
    """Return the address of a small drawing of a curve, with the ``best`` value so far as a dashed line."""
    values = [value for _, value in points] + ([best] if best is not None and wording.finite(best) else [])
    low, high = min(values, default=0.0), max(values, default=0.0)
    across, up = (_WIDTH - 2 * _EDGE) / max(most - 1, 1), (_HEIGHT - 2 * _EDGE) / ((high - low) or 1.0)
    places = [(_EDGE + (epoch - 1) * across, _HEIGHT - _EDGE - (value - low) * up) for epoch, value in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{line}" fill="none" stroke="{theme.PURPLE}" stroke-width="2"/>']
    if places:
        parts.append(f'<circle cx="{places[-1][0]:.1f}" cy="{places[-1][1]:.1f}" r="3" fill="{theme.PURPLE}"/>')
    if best is not None and wording.finite(best):
        y = _HEIGHT - _EDGE - (best - low) * up
        parts.append(f'<path d="M0 {y:.1f}H{_WIDTH}" stroke="{theme.GREEN}" stroke-width="2" stroke-dasharray="5 4"/>')
    text = f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">{"".join(parts)}</svg>'
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"
