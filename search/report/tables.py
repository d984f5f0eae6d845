"""Facts, failures, studies and trials side by side as rows of text, for pages and terminals alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from search.records.objectives import QUANTISED
from search.records.plain_text import numbered
from search.records.study import StudyRecord, TrialRecord, TrialState, of_target
from search.report import front, parameters, shown_trials, wording
from search.report.headline import headline

_KINDS_MOST = 3
"""Most kinds of failure that are named at the top of a page."""
STUDIES = ("study", "data set", "backbone", "metric", "best", "plain recipe", "against it", "trials", "training")
"""Columns of the table of studies."""


def subtitle(study: StudyRecord) -> str:
    """Return a line that names the backbone and the data."""
    samples = ", ".join(f"{count} {split}" for split, count in study.dataset.samples().items())
    return (
        f"{study.task} · {study.backbone} ({study.weights}) · {study.dataset.name}: "
        f"{numbered(len(study.dataset.classes), study.dataset.outputs)}, {samples} {study.dataset.noun}"
    )


def states(study: StudyRecord) -> str:
    """Return how many trials are in which state: ``16 trials: 9 complete, 6 pruned, 1 failed``."""
    counts = Counter(trial.state for trial in study.trials)
    parts = ", ".join(f"{counts[state]} {state.value}" for state in TrialState if counts[state])
    return f"{of_target(len(study.trials), study.target)} trials: {parts or 'none yet'}"


def cost(study: StudyRecord) -> str:
    """Return the search's cost: seconds of all trials, and the epochs that pruning saved."""
    spent = sum(trial.seconds for trial in study.trials)
    text = f"{wording.duration(spent)} of training in all trials"
    saved = sum(epochs_saved(study, trial) for trial in study.trials if trial.state is TrialState.PRUNED)
    done = (TrialState.COMPLETE, TrialState.PRUNED)
    possible = sum(budget(study, trial) for trial in study.trials if trial.state in done)
    if saved:
        text += f"; {saved} of {possible} epochs were saved by ending weak trials early"
    return text


def budget(study: StudyRecord, trial: TrialRecord) -> int:
    """Return the number of epochs the trial was planned to run.

    Earlier versions did not record it: it then is the trial's share of the study's, if epochs are searched.
    """
    if trial.planned_epochs:
        return trial.planned_epochs
    planned = ((study.spec or {}).get("study") or {}).get("training", {}).get("epochs")
    if not isinstance(planned, int):
        return shown_trials.epochs_run(trial)
    share = next((value for name, value in trial.params.items() if name.partition("@")[0] == "epochs.share"), 1.0)
    return max(round(planned * float(share)), 1)


def epochs_saved(study: StudyRecord, trial: TrialRecord) -> int:
    """Return the number of epochs the trial did not run."""
    return max(budget(study, trial) - shown_trials.epochs_run(trial), 0)


def failures(study: StudyRecord) -> list[tuple[str, str, str]]:
    """Return kind, trial number and message of every failure."""
    return [
        (trial.failure.kind, str(trial.number), trial.failure.message)
        for trial in study.trials
        if trial.failure is not None
    ]


def failure_notes(study: StudyRecord) -> list[tuple[str, int]]:
    """Return a sentence and the last trial for each of the most frequent kinds of failure."""
    kinds: dict[str, list[TrialRecord]] = {}
    for trial in study.trials:
        if trial.failure is not None:
            kinds.setdefault(trial.failure.kind, []).append(trial)
    notes = []
    for kind, failed in sorted(kinds.items(), key=lambda item: -len(item[1]))[:_KINDS_MOST]:
        last = failed[-1]
        message = last.failure.message if last.failure is not None else ""
        count = f"{len(failed)} of {numbered(len(study.trials), 'trials')} failed ({kind})"
        differs = any(trial.failure is not None and trial.failure.message != message for trial in failed)
        notes.append((f"{count}{', the last with' if differs else ''}: {message}", last.number))
    return notes


def facts(study: StudyRecord) -> list[tuple[str, str]]:
    """Return the numbers at the top of a page, each with its unit."""
    best = study.best
    counted, _, by_state = states(study).partition(": ")
    lines = [(counted, by_state)]
    if best is not None:
        lines.insert(0, (wording.number(best.value), f"best {wording.metric_name(study.metric)}"))
        if best.size is not None:
            trained = wording.count(best.size.trained)
            lines.append((wording.count(best.size.parameters), f"parameters, {trained} trained"))
            lines.append((wording.count(best.size.flops), "FLOPs of one forward pass"))
    text, _, saved = cost(study).partition(" of training in all trials")
    further = sum(one.seconds for trainings in (study.repeats, study.finals, study.refits) for one in trainings)
    more = f", {wording.duration(further)} after them" if further else ""
    return [
        *lines,
        (text, f"of training in trials{more}{saved.replace(' were saved by ending weak trials early', ' saved')}"),
    ]


def warnings(study: StudyRecord) -> list[str]:
    """Return what readers must know before they trust the numbers."""
    notes = []
    if study.weights == "none":
        notes.append(
            "This study trains from scratch (weights: none): nothing here says how well a pretrained network does."
        )
    if study.dataset.skipped:
        what = "images or annotations" if study.dataset.inputs == "images" else study.dataset.noun
        notes.append(f"Left out because they are broken: {len(study.dataset.skipped)} {what}.")
    notes += [overlap.words(study.dataset.noun) for overlap in study.dataset.overlaps]
    return notes


def studies(records: Sequence[StudyRecord]) -> list[tuple[str, ...]]:
    """Return one row per study, cells in the order of ``STUDIES``."""
    return [_study(study) for study in records]


def _study(study: StudyRecord) -> tuple[str, ...]:
    best, baseline, shown = study.best, study.baseline, headline(study)
    return (
        study.name,
        study.dataset.name,
        study.backbone,
        wording.metric_name(study.metric),
        wording.number(best.value if best else None),
        wording.number(baseline.value if baseline else None),
        ", ".join(part for part in (shown.gain, shown.badge) if part) or "–" if shown is not None else "–",
        of_target(len(study.trials), study.target),
        wording.duration(sum(trial.seconds for trial in study.trials)),
    )


class Difference(NamedTuple):
    """One respect in which trials differ, with a cell per trial."""

    what: str
    values: tuple[str, ...]


def differences(trials: Sequence[TrialRecord]) -> list[Difference]:
    """Return how the candidates of ``trials`` differ: parameters, then results; a dash for a missing one."""
    names = sorted({name for trial in trials for name in trial.params})
    rows = []
    for name in names:
        cells = tuple(parameters.value(trial.params[name]) if name in trial.params else "–" for trial in trials)
        if len(set(cells)) > 1:
            rows.append(Difference(parameters.label(name), cells))
    return rows + results(trials)


def results(trials: Sequence[TrialRecord]) -> list[Difference]:
    """Return the results of ``trials``."""
    rows = (
        ("state", [trial.state.value for trial in trials]),
        ("value", [wording.number(trial.value) for trial in trials]),
        ("best epoch", [str(trial.best_epoch or "–") for trial in trials]),
        ("parameters", [wording.count(trial.size.parameters) if trial.size else "–" for trial in trials]),
        ("trained parameters", [wording.count(trial.size.trained) if trial.size else "–" for trial in trials]),
        ("FLOPs", [wording.count(trial.size.flops) if trial.size else "–" for trial in trials]),
        ("time", [wording.duration(trial.seconds) for trial in trials]),
        *_further(trials),
    )
    return [Difference(what, tuple(cells)) for what, cells in rows]


def _further(trials: Sequence[TrialRecord]) -> list[tuple[str, list[str]]]:
    """Return a row for every objective that no other row has."""
    names = dict.fromkeys(name for trial in trials for name in trial.objectives if name not in front.EVERYWHERE)
    rows = []
    for name in names:
        values = [trial.objectives.get(name) for trial in trials]
        if any(value not in (None, trial.value) for value, trial in zip(values, trials, strict=True)):
            label = "int8 value" if name == QUANTISED else wording.metric_name(name)
            rows.append((label, ["–" if value is None else front.cell(name, value) for value in values]))
    return rows


def difference_words(first: TrialRecord, second: TrialRecord) -> str:
    """Return in one sentence how the second candidate differs from the first."""
    changes = []
    for name in sorted({*first.params, *second.params}):
        before, after = first.params.get(name), second.params.get(name)
        if before == after:
            continue
        label = parameters.label(name)
        if name not in second.params:
            changes.append(f"no {label} ({parameters.value(before)})")
        elif name not in first.params:
            changes.append(f"{label} {parameters.value(after)}")
        else:
            changes.append(f"{label} {parameters.value(after)} instead of {parameters.value(before)}")
    if not changes:
        return f"Trial {second.number} has the same parameters as trial {first.number}."
    return f"Trial {second.number} against trial {first.number}: {', '.join(changes)}."
