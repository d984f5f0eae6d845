"""The report: one self-contained HTML file that opens without a network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs

from search.errors import UserError
from search.records import StudyRecord
from search.report import tables, theme
from search.report.figures import figures
from search.report.findings import findings

_STYLE = """
:root { color-scheme: light dark; --ink:#1f2328; --soft:#59636e; --line:#d1d9e0; --back:#ffffff; --card:#f6f8fa; --accent:#0072B2; }
@media (prefers-color-scheme: dark) { :root { --ink:#e6edf3; --soft:#9198a1; --line:#3d444d; --back:#0d1117; --card:#151b23; --accent:#56B4E9; } }
* { box-sizing: border-box; }
body { margin:0; font:16px/1.55 FONT; color:var(--ink); background:var(--back); }
main, header, footer { max-width: 1100px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
h1 { font-size: 1.7rem; margin: 0 0 4px; } h2 { font-size: 1.2rem; margin: 36px 0 2px; } h3 { font-size: 1rem; margin: 20px 0 4px; }
p { margin: 6px 0; } .soft { color: var(--soft); } a { color: var(--accent); }
.winner { background: var(--card); border: 1px solid var(--line); border-left: 4px solid #009E73; border-radius: 8px; padding: 14px 18px; margin: 16px 0; }
.winner strong { font-size: 1.05rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 16px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: .85rem; }
.warn { border-left: 4px solid #E69F00; background: var(--card); padding: 10px 14px; border-radius: 6px; }
figure { margin: 0; } .plot { width: 100%; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
td.words { white-space: normal; min-width: 320px; } th { color: var(--soft); font-weight: 600; background: var(--card); }
tr.best td { font-weight: 600; } tr.plain td { color: #b07800; } tbody tr:last-child td { border-bottom: 0; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; overflow-x: auto; font-size: .85rem; }
summary { cursor: pointer; color: var(--accent); } ul { padding-left: 20px; margin: 6px 0; }
footer { color: var(--soft); font-size: .85rem; padding: 32px 20px; }
@media print { .plot, table, pre { break-inside: avoid; } body { font-size: 12px; } }
""".replace("FONT", theme.FONT)

_ROWS = 200
"""Rows of the ranking that are printed; the rest is one command away."""


def write(studies: Sequence[StudyRecord], path: Path) -> Path:
    """Write the report of ``studies`` to ``path`` and return it; a file that was there stays whole until the end.

    Raises:
        UserError: the folder cannot be written to.
    """
    text = render(studies, datetime.now(UTC))
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".report-", suffix=".html")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise UserError(f"cannot write the report to {path}: {error.strerror}; name another file with -o") from error
    return path


def render(studies: Sequence[StudyRecord], generated_at: datetime) -> str:
    """Return the report as one HTML document."""
    title = ", ".join(study.name for study in studies)
    body = "".join(_study(study) for study in studies)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)} – ftsearch report</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>"
        f"{body}<footer>Written by ftsearch on {generated_at:%Y-%m-%d %H:%M} UTC. Figures work without a network; "
        "colours are Okabe and Ito's and Cividis, safe for the colour-blind.</footer></body></html>"
    )


def _study(study: StudyRecord) -> str:
    return (
        f"<header><h1>{escape(study.name)}</h1><p class='soft'>{_subtitle(study)}</p></header>"
        f"<main>{_warning(study)}{_winner(study)}{_tiles(study)}{_findings(study)}"
        f"{''.join(_figure(study, place) for place in range(len(figures())))}"
        f"{_ranking(study)}{_failures(study)}{_repeat(study)}</main>"
    )


def _subtitle(study: StudyRecord) -> str:
    counts = {split: sum(found.values()) for split, found in study.dataset.counts.items()}
    images = ", ".join(f"{count} {split}" for split, count in counts.items())
    when = f" · started {study.created_at:%Y-%m-%d %H:%M} UTC" if study.created_at else ""
    return escape(
        f"{study.task} · {study.backbone} ({study.weights}) · {study.dataset.name}: "
        f"{len(study.dataset.classes)} classes, {images} images{when}"
    )


def _warning(study: StudyRecord) -> str:
    notes = []
    if study.weights == "none":
        notes.append(
            "This study trains from scratch (weights: none): nothing here says how well a pretrained network does."
        )
    if study.dataset.skipped:
        notes.append(f"{len(study.dataset.skipped)} broken images were left out.")
    return "".join(f"<p class='warn'>{escape(note)}</p>" for note in notes)


def _winner(study: StudyRecord) -> str:
    best = study.best
    if best is None:
        return "<section class='winner'><p>No trial is complete yet.</p></section>"
    name = "the plain recipe itself" if best.is_baseline else f"trial {best.number}"
    return (
        f"<section class='winner' aria-label='Winner'><p class='soft'>Winner: {name}</p>"
        f"<p><strong>{escape(best.words)}</strong></p><p>{escape(tables.gain_words(study))}</p></section>"
    )


def _tiles(study: StudyRecord) -> str:
    best = study.best
    facts = [(tables.states(study).split(":")[0], tables.states(study).partition(": ")[2])]
    if best is not None:
        facts.insert(0, (theme.number(best.value), f"best {theme.metric_name(study.metric)}"))
        if best.size is not None:
            facts.append((theme.count(best.size.parameters), f"parameters, {theme.count(best.size.trained)} trained"))
            facts.append((theme.count(best.size.flops), "FLOPs an image"))
    text, _, saved = tables.cost(study).partition(" of training in all trials")
    facts.append((text, f"of training{saved}"))
    return (
        "<div class='tiles'>"
        + "".join(
            f"<div class='tile'><b>{escape(value)}</b><span>{escape(label)}</span></div>" for value, label in facts
        )
        + "</div>"
    )


def _findings(study: StudyRecord) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in findings(study))
    return f"<section><h2>What the search learnt</h2><ul>{lines}</ul></section>" if lines else ""


def _figure(study: StudyRecord, place: int) -> str:
    figure = figures()[place]
    drawing = figure.draw(figure.rows(study))
    html = drawing.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"responsive": True, "displaylogo": False},
        div_id=f"{study.name}-{figure.name}",
    )
    return (
        f"<section><h2>{escape(figure.title)}</h2><p class='soft'>{escape(figure.how_to_read)}</p>"
        f"<figure class='plot' role='img' aria-label='{escape(figure.title, quote=True)}'>{html}</figure></section>"
    )


def _ranking(study: StudyRecord) -> str:
    lines = tables.ranking(study)
    best = study.best
    head = "".join(f"<th scope='col'>{name}</th>" for name in _columns(study))
    rows = []
    for line in lines[:_ROWS]:
        kind = "best" if best and line.number == str(best.number) else "plain" if line.state == "plain recipe" else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in line[:-1])
        rows.append(f"<tr class='{kind}'>{cells}<td class='words'>{escape(line.words)}</td></tr>")
    more = (
        f"<p class='soft'>{len(lines) - _ROWS} further trials: ftsearch trials {escape(study.name)}</p>"
        if len(lines) > _ROWS
        else ""
    )
    return (
        f"<section><h2>Ranking</h2><p class='soft'>{escape(tables.states(study))}</p><div class='scroll' tabindex='0'>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{more}</section>"
    )


def _columns(study: StudyRecord) -> tuple[str, ...]:
    return (
        "rank",
        "trial",
        "state",
        escape(theme.metric_name(study.metric)),
        "parameters",
        "FLOPs",
        "time",
        "candidate",
    )


def _failures(study: StudyRecord) -> str:
    failed = tables.failures(study)
    if not failed:
        return ""
    rows = "".join(
        f"<tr><td>{escape(kind)}</td><td>{escape(number)}</td><td class='words'>{escape(message)}</td></tr>"
        for kind, number, message in failed
    )
    return (
        "<section><h2>Failures</h2><div class='scroll' tabindex='0'><table><thead><tr><th scope='col'>kind</th>"
        f"<th scope='col'>trial</th><th scope='col'>reason</th></tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _repeat(study: StudyRecord) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    skipped = "".join(f"<li>{escape(line)}</li>" for line in study.dataset.skipped)
    broken = f"<details><summary>Images left out</summary><ul>{skipped}</ul></details>" if skipped else ""
    return (
        "<section><h2>To repeat this</h2>"
        f"<p class='soft'>{escape(versions)}; data fingerprint {escape(study.dataset.fingerprint[:16])}</p>{broken}"
        f"<details><summary>Study file</summary><pre>{escape(study.spec_text)}</pre></details></section>"
    )
