"""The report: one self-contained HTML file that opens without a network."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from search.artifacts import partial_files
from search.errors import UserError
from search.records.study import StudyRecord
from search.report import confirmed, front, ranking_table, structures, style_sheet, tables, theme
from search.report._script import COMMON, SCRIPT
from search.report.figures import figures, studies_figures
from search.report.figures._base import Drawing
from search.report.findings import findings
from search.report.headline import Headline, headline, sentence

_ROWS = 200
"""Rows of the ranking on a page; a command lists the rest."""
_LEFT = ("state", "candidate")
"""Columns of rankings that hold words."""
_OPEN = 40
"""Rows shown at first; the others are folded, to keep the page short."""


def write(studies: Sequence[StudyRecord], path: Path) -> Path:
    """Write the report of ``studies`` to ``path`` and return it; an older file there stays intact until the end.

    Raises:
        UserError: the folder cannot be written to.
    """
    return put(render(studies, datetime.now(UTC)), path)


def put(text: str, path: Path) -> Path:
    """Write a page to ``path`` and return it; raises as ``write`` does."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial_files.write(path, text.encode())
    except OSError as error:
        raise UserError(f"cannot write the report to {path}: {error.strerror}; name another file with -o") from error
    return path


def drawings(studies: Sequence[StudyRecord]) -> Iterator[tuple[str, Drawing, go.Figure]]:
    """Yield every drawing of a report: its key ``STUDY/FIGURE``, its figure, the drawing.

    With several studies, figures that compare them come first, under the key ``studies/FIGURE``.
    """
    if len(studies) > 1:
        for comparing in studies_figures():
            yield f"studies/{comparing.name}", comparing, comparing.draw(comparing.rows(studies))
    for index, study in enumerate(studies):
        for figure in figures():
            rows = figure.rows(study)
            if rows is not None:  # a heading over an empty box helps nobody
                yield f"{index}/{figure.name}", figure, figure.draw(rows)


def render(studies: Sequence[StudyRecord], generated_at: datetime) -> str:
    """Return the report as one HTML document."""
    drawn = Drawings()
    for key, kind, drawing in drawings(studies):
        drawn.add(key, kind, drawing)
    several = len(studies) > 1
    body = _comparison(studies, drawn) if several else ""
    body += "".join(_study(study, index, drawn, 2 if several else 1) for index, study in enumerate(studies))
    return document(", ".join(study.name for study in studies), body, drawn, generated_at)


def document(title: str, body: str, drawn: Drawings, generated_at: datetime) -> str:
    """Return a whole page around ``body``, with its figures."""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; script-src 'unsafe-inline' "
        "'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:\">"
        f"<title>{escape(title)} – ftsearch report</title><style>{style_sheet.CSS}</style>"
        f"<script>{COMMON}</script></head><body>"
        f"<a class='skip' href='#main'>Skip to the results</a><div class='page'><main id='main'>{body}</main>"
        "<footer><p><button class='theme' type='button'>Theme: </button></p>"
        f"Written by ftsearch on {generated_at:%Y-%m-%d %H:%M} UTC. Figures need no network; "
        "colours are Okabe and Ito's and Cividis, safe for the colour-blind.</footer></div>"
        f"<script type='text/plain' id='plotly'>{_library()}</script>"
        f"<script type='text/plain' id='figures'>{_packed(drawn.to_json())}</script>"
        f"<script>{SCRIPT}</script></body></html>"
    )


@cache
def _library() -> str:
    return _packed(get_plotlyjs())


def _packed(text: str) -> str:
    """Return ``text`` compressed, in base64: plotly.js alone would take most of the size limit of a mail."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@dataclass(slots=True)
class Drawings:
    """Drawings by key: as JSON for the script, as HTML for the page; a sentence is text, nothing to draw."""

    texts: dict[str, str] = field(default_factory=dict)
    html: dict[str, str] = field(default_factory=dict)

    def add(self, key: str, kind: Drawing, drawing: go.Figure) -> None:
        """Add a drawing under ``key``."""
        if sentence := theme.said(drawing):
            self.html[key] = f"<p>{escape(sentence)}</p>"
            return
        views = theme.without_menu(drawing)
        plain: dict[str, Any] = json.loads(drawing.to_json())
        plain["views"] = [change for _, change in views]
        self.texts[key] = json.dumps(plain, separators=(",", ":"))
        options = "".join(f"<option value='{index}'>{escape(label)}</option>" for index, (label, _) in enumerate(views))
        choice = f"<label class='view'>View <select>{options}</select></label>" if len(views) > 1 else ""
        label = escape(f"{kind.title}. {kind.how_to_read}", quote=True)
        height = drawing.layout.height or 380
        least = kind.narrowest(drawing)
        width = f";min-width:{least}px" if least else ""
        self.html[key] = (
            f"<figure>{choice}<div class='wide'><div class='plot' role='group' aria-label='{label}' "
            f"data-figure='{escape(key)}' style='height:{height}px{width}'></div></div></figure>"
        )

    def to_json(self) -> str:
        """Return all drawings for the script."""
        return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in self.texts.items()) + "}"


def section(key: str, kind: Drawing, drawn: Drawings, level: int) -> str:
    """Return the section of a page with one drawing."""
    return (
        f"<section class='one' id='{escape(key.replace('/', '-'))}'><h{level}>{escape(kind.title)}</h{level}>"
        f"<p class='soft'>{escape(kind.how_to_read)}</p>{drawn.html[key]}</section>"
    )


def table(heads: Sequence[str], rows: Sequence[str], *, cards: bool = False, left: Sequence[str] | None = None) -> str:
    """Return a table that scrolls sideways, or is a card a row on a phone; ``rows`` are already HTML.

    Columns but those in ``left``, if it is given, hold numbers.
    """
    head = "".join(f"<th scope='col'{_number(name, left)}>{escape(name)}</th>" for name in heads)
    return (
        f"<div class='scroll{' cards' if cards else ''}' tabindex='0'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def plain_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table of texts."""
    return table(heads, [f"<tr>{_cells(line, labels=heads)}</tr>" for line in lines], cards=True)


def _number(name: str, left: Sequence[str] | None) -> str:
    return "" if left is None or name in left else " class='number'"


def _cells(
    line: Sequence[str], *, worded: bool = False, labels: Sequence[str] = (), left: Sequence[str] | None = None
) -> str:
    """Return the cells of a row; the last one of a ``worded`` row is a long text.

    ``labels`` name them on a card; ``left`` is as in ``table``.
    """
    plain = line[:-1] if worded else line
    last = f"<td class='words'>{escape(line[-1])}</td>" if worded else ""
    named = [f"{_number(label, left)} data-label='{escape(label, quote=True)}'" for label in labels]
    named = named or [""] * len(plain)
    return "".join(f"<td{label}>{escape(cell)}</td>" for label, cell in zip(named, plain, strict=False)) + last


def _comparison(studies: Sequence[StudyRecord], drawn: Drawings) -> str:
    parts = "".join(section(f"studies/{figure.name}", figure, drawn, 2) for figure in studies_figures())
    table = plain_table(tables.STUDIES, tables.studies(studies))
    return f"<header><h1>{len(studies)} studies compared</h1></header>{table}{parts}"


def _study(study: StudyRecord, place: int, drawn: Drawings, level: int) -> str:
    top, parts = f"h{level}", [part for part in figures() if f"{place}/{part.name}" in drawn.html]
    contents = "".join(f"<li><a href='#{place}-{part.name}'>{escape(part.title)}</a></li>" for part in parts)
    return (
        f"<header><{top}>{escape(study.name)}</{top}><p class='soft'>{_subtitle(study)}</p></header>"
        f"{_winner(study)}{_tiles(study)}{_warning(study)}{_findings(study, level + 1)}"
        f"{_contents(contents, place)}"
        f"{''.join(section(f'{place}/{part.name}', part, drawn, level + 1) for part in parts)}"
        f"{_front(study, level + 1)}{_confirmations(study, level + 1)}{_ranking(study, place, level + 1)}"
        f"{_failures(study, level + 1)}{_repeat(study, level + 1)}"
    )


def _contents(figures_listed: str, place: int) -> str:
    if not figures_listed:
        return ""
    return (
        f"<details class='toc'><summary>Contents</summary><ul class='contents'>{figures_listed}"
        f"<li><a href='#{place}-ranking'>Ranking</a></li></ul></details>"
    )


def _subtitle(study: StudyRecord) -> str:
    when = f" · started {study.created_at:%Y-%m-%d %H:%M} UTC" if study.created_at else ""
    return escape(tables.subtitle(study) + when)


def _warning(study: StudyRecord) -> str:
    failed = [f"{note} (trial {number})" for note, number in tables.failure_notes(study)]
    return "".join(f"<p class='warn'>{escape(note)}</p>" for note in (*failed, *tables.warnings(study)))


def _winner(study: StudyRecord) -> str:
    shown = headline(study)
    if shown is None:
        return f"<section class='headline'><p>{escape(sentence(study))}</p></section>"
    badge = f"<span class='badge {shown.proof.name.lower()}'>{escape(shown.badge)}</span>" if shown.badge else ""
    lines = "".join(f"<p>{escape(line)}</p>" for line in shown.lines)
    return (
        f"<section class='headline' aria-label='Result'><p class='gain'><b>{escape(shown.gain or shown.values)}</b>"
        f"{badge}</p>{lines}{_strip(shown)}"
        f"<p class='name'><b>{escape(shown.name)}</b>: {escape(shown.words)}</p></section>"
    )


def _strip(shown: Headline) -> str:
    if not shown.strip:
        return ""
    cells = "".join(
        f"<i class='{escape(cell.state)}' title='{escape(cell.words, quote=True)}'>{escape(cell.short)}</i>"
        for cell in shown.strip
    )
    words = structures.words(shown.strip)
    return (
        f"<div class='strip' role='img' aria-label='{escape(words, quote=True)}'>{cells}</div>"
        f"<p class='name'>{escape(words)}</p>"
    )


def _tiles(study: StudyRecord) -> str:
    tiles = (
        f"<div class='tile'><b>{escape(value)}</b><span>{escape(label)}</span></div>"
        for value, label in tables.facts(study)
    )
    return f"<div class='tiles'>{''.join(tiles)}</div>"


def _findings(study: StudyRecord, level: int) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in findings(study))
    return f"<section><h{level}>What the search learnt</h{level}><ul>{lines}</ul></section>" if lines else ""


def _front(study: StudyRecord, level: int) -> str:
    lines = front.rows(study)
    if not lines:
        return ""
    heads = front.columns(study)
    rows = [f"<tr>{_cells(line, worded=True, labels=heads, left=_LEFT)}</tr>" for line in lines[:_ROWS]]
    return (
        f"<section><h{level}>{front.HEADING}</h{level}><p class='soft'>{escape(front.sentence(study))}</p>"
        f"{table(heads, rows, cards=True, left=_LEFT)}</section>"
    )


def _ranking(study: StudyRecord, place: int, level: int) -> str:
    lines = ranking_table.rows(study, _ROWS, ranking_table.constant_parts(study.trials))
    if not lines:
        return ""
    heads = ranking_table.headings(study)
    rows = []
    for line in lines:
        kind = ranking_table.kind(line)
        cells = _cells(line, worded=True, labels=heads, left=_LEFT)
        rows.append(f"<tr class='{kind}' data-trial='{line.number}'>{cells}</tr>")
    further = len(study.trials) - len(lines)
    more = f"<p class='soft'>{further} further trials: ftsearch trials {escape(study.name)}</p>" if further > 0 else ""
    folded, counted = rows[_OPEN:], f"{tables.states(study)}. {ranking_table.shared(study)}"
    shown = table(heads, rows[:_OPEN], cards=True, left=_LEFT)
    if folded:
        shown += (
            f"<details><summary>{len(folded)} more</summary>{table(heads, folded, cards=True, left=_LEFT)}</details>"
        )
    return (
        f"<section id='{place}-ranking'><h{level}>Ranking</h{level}><p class='soft'>{escape(counted)}</p>"
        f"{shown}{more}</section>"
    )


def _confirmations(study: StudyRecord, level: int) -> str:
    lines = confirmed.lines(study)
    if not lines:
        return ""
    return (
        f"<section><h{level}>Confirmation</h{level}><p class='soft'>{escape(confirmed.HOW_TO_READ)}</p>"
        f"{plain_table(confirmed.HEAD, lines)}</section>"
    )


def _failures(study: StudyRecord, level: int) -> str:
    failed = tables.failures(study)
    if not failed:
        return ""
    heads = ("kind", "trial", "reason")
    rows = [f"<tr>{_cells(line, worded=True, labels=heads)}</tr>" for line in failed[:_ROWS]]
    more = f"<p class='soft'>{len(failed) - _ROWS} further failures are not listed.</p>" if len(failed) > _ROWS else ""
    return f"<section><h{level}>Failures</h{level}>{table(heads, rows, cards=True)}{more}</section>"


def _repeat(study: StudyRecord, level: int) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in study.versions.items())
    skipped = "".join(f"<li>{escape(line)}</li>" for line in study.dataset.skipped)
    broken = f"<details><summary>What was left out</summary><ul>{skipped}</ul></details>" if skipped else ""
    return (
        f"<section><h{level}>To repeat this</h{level}>"
        f"<p class='soft'>{escape(versions)}; data fingerprint {escape(study.dataset.fingerprint[:16])}</p>{broken}"
        f"<details><summary>Study file</summary><pre>{escape(study.spec_text)}</pre></details></section>"
    )
