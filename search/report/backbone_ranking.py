"""The page that ranks backbones scored without training, and its table for terminals."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from pathlib import Path

from search.records.backbone_ranking import BackboneScore, Ranking, mean_ranks, trust
from search.report import page, wording
from search.report.figures import ranking_figures

_NONE = "–"


def columns(ranking: Ranking) -> tuple[str, ...]:
    """Return the headings of the table."""
    fixed = ("backbone", "weights", "mean rank")
    costs = ("parameters", "FLOPs", "latency", "ImageNet")
    tried = (f"best {wording.metric_name(ranking.metric)} here",) if ranking.tried else ()
    return (*fixed, *ranking.titles.values(), *costs, *tried)


def table(ranking: Ranking) -> list[tuple[str, ...]]:
    """Return one row per backbone, the best first."""
    ranks = mean_ranks(ranking.backbone_scores, list(ranking.titles))
    return [
        _row(ranking, backbone_score, rank) for backbone_score, rank in zip(ranking.backbone_scores, ranks, strict=True)
    ]


def _row(ranking: Ranking, backbone_score: BackboneScore, rank: float) -> tuple[str, ...]:
    scores = (wording.number(backbone_score.scores.get(name), 3) for name in ranking.titles)
    accuracy = _NONE if backbone_score.accuracy is None else f"{backbone_score.accuracy:.1f} %"
    costs = (
        wording.count(backbone_score.parameters),
        wording.count(backbone_score.flops),
        f"{backbone_score.latency_ms:.1f} ms",
        accuracy,
    )
    tried = (wording.number(ranking.tried.get(backbone_score.backbone)),) if ranking.tried else ()
    return (backbone_score.backbone, Path(backbone_score.weights).name, f"{rank:.1f}", *scores, *costs, *tried)


def best_layers(ranking: Ranking) -> list[tuple[str, str, str]]:
    """Return for each backbone and estimator, in words, the unit whose features score best.

    Rows: backbone, estimator, words. For a search it means that the units after that one are worth dropping or tuning.
    """
    rows = []
    for backbone_score in ranking.backbone_scores:
        for name, title in ranking.titles.items():
            layers = [layer for layer in backbone_score.layers if wording.finite(layer.scores.get(name))]
            if len(layers) < 2:
                continue
            best = max(layers, key=lambda layer: (layer.scores[name], layer.depth))
            last = layers[-1]
            words = f"{best.unit} ({wording.percent(best.depth)} of the depth): {best.scores[name]:.3f}"
            words += ", the last one" if best is last else f", the last unit {last.scores[name]:.3f}"
            rows.append((backbone_score.backbone, title, words))
    return rows


def write(ranking: Ranking, path: Path) -> Path:
    """Write the page to ``path`` and return it.

    Raises:
        UserError: the folder cannot be written to.
    """
    return page.put(render(ranking, datetime.now(UTC)), path)


def render(ranking: Ranking, generated_at: datetime) -> str:
    """Return the page as one HTML document."""
    drawn = page.Drawings()
    kinds = ranking_figures()
    for kind in kinds:
        drawn.add(f"ranking/{kind.name}", kind, kind.draw(kind.rows(ranking)))
    title = f"Backbones for {ranking.study}"
    parts = "".join(page.section(f"ranking/{kind.name}", kind, drawn, 2) for kind in kinds)
    lines = "".join(f"<li>{escape(line)}</li>" for line in trust(ranking))
    layers = page.plain_table(("backbone", "estimator", "best after"), best_layers(ranking))
    body = (
        f"<header><h1>{escape(title)}</h1><p class='soft'>{escape(subtitle(ranking))}</p></header>"
        f"{page.plain_table(columns(ranking), table(ranking))}"
        f"<section><h2>How far to trust this</h2><ul>{lines}</ul></section>{parts}"
        f"<section><h2>Best layers</h2>{layers}"
        f"</section>{_agreements(ranking)}{_left_out(ranking)}"
    )
    return page.document(title, body, drawn, generated_at)


def subtitle(ranking: Ranking) -> str:
    """Return a line that names the backbones, the data and the device."""
    return (
        f"{len(ranking.backbone_scores)} backbones on {ranking.images} training images of {ranking.dataset} "
        f"({ranking.classes} classes), nothing trained; latency of one image on {ranking.device}; scores are larger "
        "for better; parameters and FLOPs (2 per multiply-add) are without the classifier"
    )


def _agreements(ranking: Ranking) -> str:
    rows = [
        (each.first, each.second, f"{each.tau:.2f}", str(each.count))
        for each in (*ranking.agreements, *ranking.with_trials)
    ]
    if not rows:
        return ""
    table = page.plain_table(("between", "and", "Kendall's tau", "backbones"), rows)
    return f"<section><h2>Agreement</h2>{table}</section>"


def _left_out(ranking: Ranking) -> str:
    if not ranking.left_out:
        return ""
    return f"<section><h2>Left out</h2>{page.plain_table(('backbone', 'reason'), list(ranking.left_out))}</section>"
