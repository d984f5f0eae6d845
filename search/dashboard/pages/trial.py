"""One trial: its candidate, its learning curve, its result."""

from __future__ import annotations

import json
from typing import Any

from dash import dcc, html

from search.dashboard import components
from search.records.command_line import command
from search.records.study import StudyRecord, TrialRecord
from search.report import front, parameters, wording
from search.report.gain import lead_over_plain
from search.report.origin import found_by


def page(study: StudyRecord, number: int) -> html.Div:
    """Return the page of trial ``number``, which is complete in ``study``."""
    trial = next((trial for trial in study.trials if trial.number == number), None)
    if trial is None:
        return components.nothing(f"No trial {number}", f"{study.name} has {len(study.trials)} trials, counted from 0.")
    return html.Div(
        [
            _neighbours(study, number),
            html.H1(f"Trial {number}" + (" (plain recipe)" if trial.is_baseline else "")),
            html.Div(facts(study, trial), id="facts"),
            html.P(
                [
                    *_against_plain(study, number),
                    html.A(
                        "Candidate file",
                        href=components.download_path(study.name, f"candidate-{number}.json"),
                        className="button",
                    ),
                ]
            ),
            *components.trials_figures_of(study, [number]),
            *_parameters(trial),
            *_confusion(study, trial),
            *_measured(trial),
            *_origin(trial),
        ]
    )


def _against_plain(study: StudyRecord, number: int) -> list[Any]:
    """Return the link to the comparison with the plain recipe, where there is one and this is another trial."""
    if study.baseline is None or study.baseline.number == number:
        return []
    path = components.compare_path(study.name, {study.baseline.number, number})
    return [dcc.Link("Compare with the plain recipe", href=path, className="button"), " "]


def _neighbours(study: StudyRecord, number: int) -> html.Nav:
    """Return links to the study, and to the trials before and after this one."""
    numbers = [trial.number for trial in study.trials]
    place = numbers.index(number)
    links: list[Any] = [dcc.Link(study.name, href=components.study_path(study.name))]
    if place:
        before = numbers[place - 1]
        links += [" · ", dcc.Link(f"← trial {before}", href=components.trial_path(study.name, before))]
    if place < len(numbers) - 1:
        after = numbers[place + 1]
        links += [" · ", dcc.Link(f"trial {after} →", href=components.trial_path(study.name, after))]
    return html.Nav(links, **components.aria(label="Trials beside this one"))


def facts(study: StudyRecord, trial: TrialRecord) -> list[Any]:
    """Return what changes while the trial runs."""
    says_why = trial.ended and trial.failure is None
    notes: list[Any] = [
        html.P(html.Strong(trial.words or "not sampled yet")),
        html.P(f"{trial.state.value}; {trial.ended}" if says_why else trial.state.value),
        *([html.P(f"Found: {way}.", className="soft")] if (way := found_by(trial)) else []),
    ]
    lead = lead_over_plain(study, trial)
    if lead is not None and study.baseline is not None:
        change = wording.change(lead, study.metric)
        notes.append(html.P(f"{change} against the plain recipe ({wording.number(study.baseline.value)})."))
    cells = []
    if trial.value is not None or trial.failure is None:
        cells.append((wording.number(trial.value), wording.metric_name(study.metric)))
        cells.append((str(trial.best_epoch or "–"), f"best epoch of {len(trial.epochs)}"))
    if trial.size is not None:
        trained = wording.count(trial.size.trained)
        cells.append((wording.count(trial.size.parameters), f"parameters, {trained} trained"))
        cells.append((wording.count(trial.size.flops), "FLOPs of one forward pass"))
    cells.append((wording.duration(trial.seconds), "training"))
    cells.append((trial.worker or "–", f"worker, attempt {trial.attempts}"))
    cells += front.further(study, trial)
    mark = " winner" if _is_winner(study, trial) else " plain" if trial.is_baseline else ""
    shown: list[Any] = [
        html.Section(notes, className=f"card{mark}"),
        html.Div(
            [html.Div([html.B(value), html.Span(label)], className="tile") for value, label in cells], className="tiles"
        ),
    ]
    return [*_fault(study, trial), *shown]


def _is_winner(study: StudyRecord, trial: TrialRecord) -> bool:
    return study.best is not None and study.best.number == trial.number


def _fault(study: StudyRecord, trial: TrialRecord) -> list[Any]:
    """Return why the trial failed, the first question of anyone who opens its page, and what can be done."""
    if trial.failure is None:
        return []
    again = command("retry", study.name, "--trial", str(trial.number))
    told = (
        [html.P("The search goes on without it: trained again, it would most likely fail again.")]
        if trial.failure.kind == "nan"
        else [html.P("Once the cause is mended, this trains it again, from its last checkpoint:"), html.Pre(again)]
    )
    traceback = trial.failure.traceback
    return [
        html.Section(
            [
                html.P([html.B("Failed: "), f"{trial.failure.kind}: {trial.failure.message}"], className="warn"),
                *told,
                *([html.Details([html.Summary("Traceback"), html.Pre(traceback)])] if traceback else []),
            ]
        )
    ]


def _parameters(trial: TrialRecord) -> list[Any]:
    if not trial.params:
        return []
    rows = [(parameters.label(name), parameters.value(value)) for name, value in sorted(trial.params.items())]
    candidate = json.dumps(trial.candidate, indent=2, ensure_ascii=False)
    return [
        html.H2("Decisions"),
        components.table(("parameter", "value"), rows),
        html.Details([html.Summary("Candidate"), html.Pre(candidate)]),
    ]


_MOST_CLASSES = 50


def _confusion(study: StudyRecord, trial: TrialRecord) -> list[Any]:
    if trial.evaluation is None or not trial.evaluation.classes:
        return []
    worst = sorted(trial.evaluation.classes, key=lambda result: result.f1)[:_MOST_CLASSES]
    rows = [
        (result.name, f"{result.precision:.3f}", f"{result.recall:.3f}", f"{result.f1:.3f}", str(result.support))
        for result in worst
    ]
    more = len(trial.evaluation.classes) - len(worst)
    note = html.P(f"{more} classes with a better F1 are not listed.", className="soft") if more else None
    return [
        html.H2("Classes, the worst first"),
        components.table(("class", "precision", "recall", "F1", f"validation {study.dataset.noun}"), rows),
        note,
    ]


def _measured(trial: TrialRecord) -> list[Any]:
    if trial.evaluation is None or not trial.evaluation.measured:
        return []
    results = sorted(trial.evaluation.measured, key=lambda result: -result.support)[:_MOST_CLASSES]
    names = list(dict.fromkeys(measure for result in results for measure in result.values))
    rows = [
        (result.name, *(wording.number(result.values.get(name)) for name in names), str(result.support))
        for result in results
    ]
    more = len(trial.evaluation.measured) - len(results)
    note = html.P(f"{more} rarer ones are not listed.", className="soft") if more else None
    head = ("name", *(wording.metric_name(name) for name in names), "in validation")
    return [html.H2("Results by class"), components.table(head, rows), note]


def _origin(trial: TrialRecord) -> list[Any]:
    facts = {
        "seed": trial.seed,
        "started": trial.started_at,
        "finished": trial.finished_at,
        "checkpoint": trial.checkpoint or "not kept",
        "data": trial.dataset_fingerprint[:16],
        **trial.versions,
        **trial.extras,
    }
    rows = [(name, str(value)) for name, value in facts.items()]
    return [html.Details([html.Summary("Where it comes from"), components.table(("fact", "value"), rows)])]
