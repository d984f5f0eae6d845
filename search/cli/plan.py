"""Show what a study would search and what it would cost, without training anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import DeviceOption, show_next, styled

if TYPE_CHECKING:
    from rich.console import Console

    from search.runtime.study_runtime import StudyRuntime

SECTION, ORDER = "Search", 1
_CLASSES = 20
_IMAGES = 8
_MOST_S = 20.0


def command(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    device: DeviceOption = "auto",
    trials: Annotated[int | None, typer.Option(min=1, help="Number of trials, as `run` takes it.")] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time limit, as `run` takes it: 2h, 30m, 45s.")
    ] = None,
) -> None:
    from search.cli._console import console, log_to, seconds_of
    from search.cli._working import working

    screen = console()
    log_to(screen if screen.is_terminal else None)
    with working(screen, "loading libraries") as say:
        from search.api import open_study
        from search.runtime.several_backbones import each

        say("reading data and weights")
        runtime = open_study(study, device=device, trials=trials, timeout_s=seconds_of("--timeout", timeout))
        _data(screen, runtime)
        for part in each(runtime):
            _units(screen, part)
            _decisions(screen, part)
            say("measuring how far from the pretrained network each change starts")
            _starts(screen, part)
            say("measuring what an epoch costs")
            _costs(screen, part)
        say("choosing what to try first")
        _first(screen, runtime)
        _goals(screen, runtime)
    screen.print()
    show_next(screen, "run", study)


def _data(screen: Console, runtime: StudyRuntime) -> None:
    from search.cli._tables import Sheet
    from search.data.sample import Split
    from search.records.plain_text import numbered
    from search.runtime.study_record import dataset_record

    dataset = runtime.dataset
    record = dataset_record(dataset, runtime.task)
    noun = "class" if record.outputs == "classes" else record.outputs
    rows = []
    for name in dataset.classes[:_CLASSES]:
        counts = (counts[name] for counts in record.counts.values())
        rows.append((name, *(str(count) if record.outputs == "classes" else "" for count in counts)))
    if len(dataset.classes) > _CLASSES:
        rows.append((f"... {len(dataset.classes) - _CLASSES} more", *("" for _ in record.counts)))
    rows.append(("all", *(str(count) for count in record.samples().values())))
    styles = (*("" for _ in rows[:-1]), "bold")
    screen.print(
        styled(
            ("Data", "bold"),
            f"  {dataset.name}: {numbered(len(dataset.classes), record.outputs)}, "
            f"fingerprint {dataset.fingerprint[:16]}",
        ),
        soft_wrap=True,
    )
    screen.print(Sheet((noun, *record.counts), rows, left=(noun,), styles=styles))
    shown = "x".join(str(side) for side in runtime.input_size)
    if record.inputs == "images":
        sizes = [sample.input.open().size for sample in dataset.of(Split.TRAIN)[:200]]
        widths, heights = [size[0] for size in sizes], [size[1] for size in sizes]
        screen.print(
            f"images {min(widths)}-{max(widths)} wide, {min(heights)}-{max(heights)} high (of {len(sizes)}); "
            f"input {shown} pixels"
        )
    else:
        screen.print(f"{record.noun}, up to {runtime.input_size[1]} {record.inputs} each")
    for line in dataset.skipped:
        screen.print(f"fault: {line}", style="yellow", soft_wrap=True)
    for line in dataset.notes:
        screen.print(line, soft_wrap=True)
    for overlap in record.overlaps:
        screen.print(overlap.words(record.noun), style="yellow")


def _units(screen: Console, runtime: StudyRuntime) -> None:
    from search.cli._tables import Sheet
    from search.cli._units import show_dominant
    from search.report import wording
    from spaces.chains import probe

    pretrained = runtime.pretrained
    facts = probe.describe(pretrained.chain)
    source = "random weights: trained from scratch" if pretrained.weights == "none" else f"weights {pretrained.weights}"
    screen.print(
        styled(
            "\n", ("Backbone", "bold"), f"  {pretrained.label} ({pretrained.backbone}), {source}, {len(facts)} units"
        )
    )
    rows = []
    for unit in facts:
        shape = "x".join(map(str, probe.features_shape(pretrained.chain, unit.out_shape)))
        skip = "yes" if unit.can_skip else ""
        rows.append((unit.name, shape, wording.count(unit.parameters), wording.count(2 * unit.macs), skip))
    screen.print(Sheet(("unit", "output", "parameters", "FLOPs", "may skip"), rows, left=("unit", "output")))
    show_dominant(screen, facts)


def _decisions(screen: Console, runtime: StudyRuntime) -> None:
    from search.cli._tables import Sheet
    from search.report import parameters

    screen.print(styled("\n", ("Decisions", "bold")))
    rows = [(parameters.label(name), text) for name, text in runtime.space.parameters().items()]
    screen.print(Sheet(("parameter",), rows, left=("parameter",), words="range"))
    for name, reason in runtime.space.dropped.items():
        screen.print(f"{name} drops out: {reason}", style="yellow")
    for line in runtime.task.advice():
        screen.print(line)


def _starts(screen: Console, runtime: StudyRuntime) -> None:
    """Print how far from the pretrained function each single change starts, measured on validation images."""
    import time

    from search.cli._tables import Sheet
    from search.data.sample import Split
    from search.report import wording
    from spaces.decisions import registry
    from spaces.networks.feature_change import feature_change

    space = runtime.space
    changes = [
        (registry()[name], value)
        for name, choices in space.choices.items()
        for value in registry()[name].variants(choices, space.chain)
        if not registry()[name].keeps_function(value, space.chain)
    ]
    if not changes:
        return
    images = next(iter(runtime.batches(Split.VAL).epoch(1)))[0][:_IMAGES].cpu()
    begin, rows = time.monotonic(), []
    for decision, value in changes:
        if time.monotonic() - begin > _MOST_S:
            break
        moved = feature_change(space.chain, decision.apply(space.chain, value), images)
        if moved is not None:
            rows.append((decision.name, moved, decision.words(value, space.chain)))
    measured = "" if len(rows) == len(changes) else f", {len(rows)} of {len(changes)} changes measured"
    screen.print(
        styled(
            "\n",
            ("Starting points", "bold"),
            "  how far one change moves the pretrained network's features ",
            f"({len(images)} validation {runtime.task.noun}{measured}; 0 % is the same function)",
        )
    )
    ordered = [(name, wording.percent(moved, 1), words) for name, moved, words in sorted(rows, key=lambda row: row[:2])]
    screen.print(Sheet(("decision", "moves by"), ordered, left=("decision",), words="change"))


def _costs(screen: Console, runtime: StudyRuntime) -> None:
    from search.cli._tables import Sheet
    from search.records.study import OPEN
    from search.report import wording
    from search.runtime.size_range import size_range

    smallest, largest = size_range(runtime)
    screen.print(styled("\n", ("Candidates", "bold")))
    rows = []
    named = (("smallest", smallest), ("plain recipe", runtime.space.baseline()), ("largest", largest))
    for name, candidate in named:
        network = runtime.build(candidate, 0)
        size = runtime.size(network)
        seconds = runtime.measure(candidate)
        costs = wording.count(size.parameters), wording.count(size.flops), wording.duration(seconds)
        rows.append((name, *costs, runtime.space.words(candidate)))
    headings = ("", "parameters", "FLOPs", "time per epoch (estimated)")
    screen.print(Sheet(headings, rows, left=("",), words="candidate"))
    spec = runtime.spec
    baseline = runtime.space.baseline()
    plain, target, limit = runtime.measure(baseline) * runtime.epochs(baseline), spec.search.target, _limit(runtime)
    like_plain = "if every trial cost what the plain recipe does"
    many, end = f"{target} trials", f"at most about {wording.duration(plain * target)} {like_plain}"
    if limit is not None:
        many = f"as many trials as fit into {wording.duration(limit)}{f', at most {target},' * (target < OPEN)}"
        end = f"about {wording.duration(plain)} each {like_plain}"
    screen.print(f"{many} of up to {runtime.most_epochs()} epochs on {runtime.precision.device}: {end}")


def _first(screen: Console, runtime: StudyRuntime) -> None:
    """Print what is tried first, and why."""
    from search.cli._tables import Sheet
    from search.trials.portfolio import PLAIN, Planned, plan_of

    search, space = runtime.spec.search, runtime.space
    screen.print(styled("\n", ("What is tried first", "bold")))
    rows = []
    for number, item in enumerate(plan_of(runtime)[: search.target]):
        why, words = f"warm start {item}", ""
        if item == PLAIN:
            why, words = "the plain recipe: the reference", space.words(space.baseline())
        elif isinstance(item, Planned):
            why, words = f"{item.member.name}: {item.member.why}", space.words(item.candidate)
        rows.append((str(number), "\n".join(filter(None, (why, words)))))
    screen.print(Sheet(("trial",), rows, words="why, and the candidate"))
    then = "changes to the best so far and draws around common defaults; the sampler takes over as results come in"
    screen.print(f"then {then if search.portfolio == 'on' else 'what the sampler draws'} ({search.sampler.name})")
    _reached(screen, runtime)


def _limit(runtime: StudyRuntime) -> float | None:
    """Return the seconds that a run may take; None without a limit."""
    search = runtime.spec.search
    return min((float(limit) for limit in (search.timeout, search.gpu_seconds) if limit), default=None)


def _reached(screen: Console, runtime: StudyRuntime) -> None:
    """Print how far a time limit reaches, and whether the plain recipe fits into it."""
    import time

    from search.report import wording
    from search.trials.portfolio import PLAIN, Planned, plan_of
    from search.trials.proposal import PLAIN_SHARE

    limit, search, space = _limit(runtime), runtime.spec.search, runtime.space
    if limit is None or search.portfolio == "off":
        return
    left, count, baseline = limit * (1 - (0 if search.final == "off" else search.final.share)), 0, space.baseline()
    plain = runtime.measure(baseline) * runtime.epochs(baseline)
    is_too_long, begin, plan = plain > PLAIN_SHARE * limit, time.monotonic(), plan_of(runtime)[: search.target]
    for item in plan:
        if item == PLAIN:
            left -= 0 if is_too_long else plain
        elif isinstance(item, Planned):
            part = runtime.of(item.candidate)
            left -= part.measure(item.candidate) * part.epochs(item.candidate)
        if left < 0 or time.monotonic() - begin > _MOST_S:
            break
        count += 1
    many = f"at least {count} of these {'is' if count == 1 else 'are'}" if count else "few of these are"
    many = "all of these and more are" if count == len(plan) else many
    screen.print(
        f"in {wording.duration(limit)}, {many} likely to be reached: features that trials share are computed once, "
        "which this estimate does not count",
        soft_wrap=True,
    )
    if is_too_long:
        screen.print(
            f"the plain recipe, about {wording.duration(plain)}, takes more than a tenth of that and is left out, so "
            f"nothing will be compared with it; with --timeout {math.ceil(plain / PLAIN_SHARE / 60)}m it is tried",
            style="yellow",
            soft_wrap=True,
        )


def _goals(screen: Console, runtime: StudyRuntime) -> None:
    """Print the objectives, and how much of the space satisfies the constraints."""
    from search.report import front, wording
    from search.runtime import objective_values

    goals = runtime.spec.goals
    if goals.is_single:
        return
    names = ", ".join(
        f"{front.name(one, runtime.spec.objective)} ({'more' if one.maximize else 'less'} is better)"
        for one in goals.objectives
    )
    screen.print(styled("\n", ("Objectives", "bold"), f"  {names}"))
    if goals.latency is not None:
        how = goals.latency
        screen.print(f"latency: median of {how.runs} passes of {how.batch} on {runtime.precision.device}")
    if goals.quantised is not None:
        screen.print(
            f"int8: of every trial that is not pruned, by ONNX Runtime on the CPU; {goals.quantised.images} training "
            "images give the ranges of activations",
            soft_wrap=True,
        )
    if goals.constraints.bounds:
        texts = ", ".join(str(one) for one in goals.constraints.bounds)
        screen.print(styled(("Constraints", "bold"), f"  {texts}"))
    if goals.constraints.names() & {"parameters", "flops"}:
        share = objective_values.share_within(runtime)
        screen.print(
            f"{wording.percent(share)} of 32 random candidates satisfy those on parameters and FLOPs; the others are "
            "not trained"
        )
