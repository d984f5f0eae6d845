"""The style sheet of report and dashboard: light and dark, narrow and wide, screen and paper."""

from __future__ import annotations

from search.report import theme

_DARK = """--ink:#e6edf3; --soft:#9aa4af; --line:#3d444d; --back:#0d1117; --card:#151b23; --accent:#6cb8f0;
  --good:#3fc79a; --warn:#e3b341;"""
_BRIGHT = """:is(.scatterlayer :is(.trace, .point), .legend :is(.layers, .scatterpts)):not([style*='opacity: 0;']) {
  opacity: 1 !important; }"""
"""What lets a light page shine through in light colours would sink into a dark one; what has no opacity is only hovered."""
CSS = (
    """
:root { color-scheme: light dark; --ink:#1f2328; --soft:#59636e; --line:#d1d9e0; --back:#ffffff; --card:#f6f8fa;
  --accent:#0a5fa3; --good:#00795a; --warn:#8a5a00; }
@media (prefers-color-scheme: dark) { :root:not([data-theme=light]) { DARK } :root:not([data-theme=light]) BRIGHT }
:root[data-theme=dark] { color-scheme: dark; DARK } :root[data-theme=dark] BRIGHT :root[data-theme=light] { color-scheme: light; }
.theme::after { content: "system"; } [data-theme=light] .theme::after { content: "light"; }
[data-theme=dark] .theme::after { content: "dark"; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin:0; font:16px/1.55 FONT; color:var(--ink); background:var(--back); }
.page { max-width: 1180px; margin: 0 auto; padding: 0 20px 24px; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 24px 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 40px 0 2px; } h3 { font-size: 1.08rem; margin: 28px 0 2px; } h4 { margin: 18px 0 2px; }
p { margin: 6px 0; } .soft { color: var(--soft); } a { color: var(--accent); }
a:focus-visible, button:focus-visible, select:focus-visible, input:focus-visible, summary:focus-visible,
  [tabindex]:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: -999px; } .skip:focus { left: 8px; top: 8px; background: var(--back); padding: 8px; }
.card, .headline { background: var(--card); border: 1px solid var(--line); border-left-width: 4px; border-radius: 8px;
  padding: 14px 18px; margin: 16px 0; overflow-wrap: anywhere; }
.winner, .headline:has(.gain) { border-left-color: var(--good); } .card.plain { border-left-color: PLAIN; }
.gain { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center; margin: 0; }
.gain b { font-size: 2.1rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.badge { border: 2px solid var(--soft); color: var(--soft); border-radius: 999px; padding: 1px 12px; font-weight: 600; }
.badge.confirmed, .badge.proven { border-color: var(--good); color: var(--good); }
.strip { display: flex; gap: 2px; height: 22px; margin: 12px 0 2px; max-width: 720px; }
.strip i { flex: 1 1 0; min-width: 2px; border-radius: 2px; background: var(--soft); color: #000; overflow: hidden; text-align: center;
  font: .7rem/22px FONT; white-space: nowrap; } .strip i.trained { color: #fff; }
.strip { container-type: inline-size; } .strip:has(i:nth-child(29)) i { font-size: 0; }
@container (max-width: 480px) { .strip i { font-size: 0; } }
UNITS
.name { color: var(--soft); font-size: .85rem; }
.card strong { font-size: 1.05rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 16px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 14px; }
.tile b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.tile span { color: var(--soft); font-size: .85rem; }
.warn { border-left: 4px solid var(--warn); background: var(--card); padding: 10px 14px; border-radius: 6px; }
figure { margin: 0; } .plot { width: 100%; min-height: 140px; } .wide { overflow-x: auto; overflow-y: hidden; }
.wide, .scroll:not(.cards) { background: linear-gradient(to right, var(--back) 30%, transparent) left / 40px 100% no-repeat local,
  linear-gradient(to left, var(--back) 30%, transparent) right / 40px 100% no-repeat local,
  linear-gradient(to right, var(--line), transparent) left / 18px 100% no-repeat scroll,
  linear-gradient(to left, var(--line), transparent) right / 18px 100% no-repeat scroll; }
.view { display: inline-block; margin: 6px 0; font-size: .9rem; color: var(--soft); }
select, input, button, .button { font: inherit; color: var(--ink); background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; padding: 4px 10px; max-width: 100%; }
button, .button { cursor: pointer; text-decoration: none; display: inline-block; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 6px 10px; }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; white-space: nowrap; }
td.words { white-space: normal; min-width: 320px; } th { color: var(--soft); font-weight: 600; background: var(--card); }
td.number, th.number { text-align: right; }
tr.best td { font-weight: 600; } tr.plain td { color: var(--warn); } tbody tr:last-child td { border-bottom: 0; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; overflow-x: auto;
  font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
summary { cursor: pointer; color: var(--accent); padding: 4px 0; } ul { padding-left: 20px; margin: 6px 0; }
.contents { columns: 260px; padding-left: 18px; font-size: .92rem; }
.toc { position: sticky; top: 0; z-index: 5; background: var(--back); border-bottom: 1px solid var(--line); }
.toc > ul { position: absolute; left: 0; right: 0; margin: 0; padding: 10px 12px 10px 32px; max-height: 60vh; overflow-y: auto;
  background: var(--back); border: 1px solid var(--line); border-radius: 0 0 8px 8px; } section[id] { scroll-margin-top: 44px; }
footer { color: var(--soft); font-size: .85rem; padding: 32px 0; }
.js-plotly-plot .xtick text, .js-plotly-plot .ytick text, .js-plotly-plot .xtitle, .js-plotly-plot .ytitle,
  .js-plotly-plot .legendtext, .js-plotly-plot .annotation-text, .js-plotly-plot .cbaxis text, .js-plotly-plot .cbtitle text,
  .js-plotly-plot .textpoint text, .js-plotly-plot .bars .bartext-outside { fill: var(--ink) !important; }
@media (max-width: 600px) { .page { padding: 0 12px 20px; } h1 { font-size: 1.35rem; } td.words { min-width: 520px; }
  .tile b { font-size: 1.1rem; }
  .wide:has(> [style*="min-width"])::before, .wide:has(> * > [style*="min-width"])::before { content: "Wider than the screen: scroll sideways";
    display: block; position: sticky; left: 0; width: fit-content; color: var(--soft); font-size: .85rem; }
  .cards { border: 0; } .cards thead { display: none; } .cards table, .cards tbody { display: block; }
  .cards tr { display: flex; flex-wrap: wrap; gap: 2px 14px; border: 1px solid var(--line); border-radius: 8px;
    padding: 8px 12px; margin: 0 0 8px; }
  .cards tr.best { border-left: 4px solid var(--good); } .cards tr[hidden] { display: none; }
  .cards td, .cards td.words { display: block; border: 0; padding: 0; min-width: 0; white-space: normal; }
  .cards td.words { flex: 1 0 100%; } .cards td:empty { display: none; }
  .cards td:not(.words)::before { content: attr(data-label) " "; color: var(--soft); font-weight: 400; } }
@media print { .strip i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  :root, :root[data-theme] { color-scheme: light; --ink:#000; --soft:#333; --line:#bbb; --back:#fff; --card:#fff; --accent:#000; }
  html { font-size: 12px; } body { font-size: 1rem; } .page { max-width: none; padding: 0; } .plot, figure, tr, section.one { break-inside: avoid; }
  h2, h3, h2 + .soft, h3 + .soft { break-after: avoid; } .view, .toc, .skip, .theme, .modebar { display: none !important; }
  .scroll, .wide { overflow: visible; background: none !important; } .wide::before { display: none !important; } thead { display: table-header-group; }
  th, td, td.words { white-space: normal; min-width: 0; } td.number { white-space: nowrap; } }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; } }
""".replace("FONT", theme.FONT)
    .replace("PLAIN", theme.ORANGE)
    .replace("DARK", _DARK)
    .replace("BRIGHT", _BRIGHT)
    .replace(
        "UNITS", "\n".join(f".strip i.{state} {{ background: {colour}; }}" for state, colour in theme.UNITS.items())
    )
)
