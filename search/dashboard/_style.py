"""The dashboard's additions to the report's style sheet."""

from __future__ import annotations

from search.report import theme

CSS = (
    """
.top { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: baseline; border-bottom: 1px solid var(--line);
  padding: 12px 20px; max-width: 1180px; margin: 0 auto; }
.top strong { font-size: 1.05rem; } .top a { text-decoration: none; } .top #updated { margin-left: auto; font-size: .85rem; } .top .theme { font-size: .85rem; }
.tabs { display: flex; flex-wrap: wrap; gap: 6px; margin: 18px 0 0; border-bottom: 1px solid var(--line);
  position: sticky; top: 0; z-index: 4; background: var(--back); }
@media (max-width: 600px) { .tabs { flex-wrap: nowrap; overflow-x: auto; } }
@media screen { .paper { display: none; } } .paper .strip { min-width: 110px; } .paper .rightAligned { text-align: right; }
.paper .chips { flex-wrap: wrap; }
@media print { .chip::before, .running progress { print-color-adjust: exact; -webkit-print-color-adjust: exact; }  .top, .tabs, .picker, #filters, .trials, .one[data-watched]:not([data-seen]) { display: none; } }
.part { padding: 8px 14px; text-decoration: none; color: var(--ink); border-radius: 6px 6px 0 0; }
.part.here { background: var(--card); border: 1px solid var(--line); border-bottom-color: var(--card); font-weight: 600; }
.filters { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 12px; margin: 10px 0; }
.filters input[type=text] { width: 100%; } .filters label { display: block; }
.filters .dash-options-list-option, .filters .dash-checklist label { display: inline-flex; margin-right: 10px; }
.view { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 6px 0; }
.choice { min-width: 190px; max-width: 340px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.running { margin: 12px 0; } .running progress { appearance: none; width: 100%; height: 10px; border: 0; border-radius: 5px; overflow: hidden;
  background: var(--line); } .running progress::-webkit-progress-bar { background: var(--line); }
.running progress::-webkit-progress-value { background: RUNNING; } .running progress::-moz-progress-bar { background: RUNNING; }
.running img { vertical-align: middle; margin-left: 12px; } .running p:has(a) { min-height: 42px; }
.button { margin: 4px 0; } #content nav:first-child { margin-top: 10px; }
.dash-graph { min-height: 140px; }
.trials { height: min(72vh, 760px); margin: 8px 0; }
.strip.small { height: 16px; margin: 11px 0; gap: 1px; } .paper .strip.small { margin: 3px 0; } .small .changed { border-bottom: 5px solid var(--ink); } .chips { display: inline-flex; gap: 4px; white-space: nowrap; }
.page:has(#trials), body:has(#trials) .top { max-width: 1560px; }
.chip { border: 1px solid var(--line); border-radius: 999px; padding: 0 8px; line-height: 20px; font-size: .8rem; }
STATES
.chip.mark-winner { border-color: var(--good); color: var(--good); font-weight: 600; }
.chip.mark-plain { border-color: PLAIN; font-weight: 600; } .chip.mark-breaks { border-color: var(--warn); color: var(--warn); }
.view .dash-input-container { width: 280px; max-width: 100%; }
.picker { position: relative; } .picker[open] > :last-child { position: absolute; z-index: 5; max-height: 60vh; overflow: auto;
  background: var(--back); border: 1px solid var(--line); border-radius: 8px; padding: 8px 12px; width: max-content; max-width: 80vw; }
.picker label { display: block; } .brief b { font-size: 1.3rem; }
:root { --Dash-Text-Strong: var(--ink); --Dash-Text-Primary: var(--ink); --Dash-Text-Weak: var(--soft);
  --Dash-Fill-Inverse-Strong: var(--back); --Dash-Stroke-Strong: var(--line); --Dash-Stroke-Weak: var(--line);
  --Dash-Fill-Interactive-Strong: var(--accent); --Dash-Fill-Weak: var(--card); --Dash-Fill-Primary-Hover: var(--card);
  --Dash-Fill-Primary-Active: var(--card); --Dash-Fill-Disabled: var(--card); --Dash-Fill-Interactive-Weak: var(--card); }
""".replace(
        "STATES",
        "\n".join(
            f".chip.{state}::before {{ content: ''; display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 6px; background: {colour}; }}"
            for state, colour in theme.STATES.items()
        ),
    )
    .replace("PLAIN", theme.ORANGE)
    .replace("RUNNING", theme.STATES["running"])
)
