"""The dashboard's additions to the report's style sheet."""

CSS = """
.top { display: flex; flex-wrap: wrap; gap: 4px 20px; align-items: baseline; border-bottom: 1px solid var(--line);
  padding: 12px 20px; max-width: 1180px; margin: 0 auto; }
.top strong { font-size: 1.05rem; } .top a { text-decoration: none; }
.tabs { display: flex; flex-wrap: wrap; gap: 6px; margin: 18px 0 0; border-bottom: 1px solid var(--line); }
.part { padding: 8px 14px; text-decoration: none; color: var(--ink); border-radius: 6px 6px 0 0; }
.part.here { background: var(--card); border: 1px solid var(--line); border-bottom-color: var(--card); font-weight: 600; }
.filters { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 12px; margin: 10px 0; }
.filters input[type=text] { width: 100%; } .filters label { display: block; }
.filters .dash-options-list-option, .filters .dash-checklist label { display: inline-flex; margin-right: 10px; }
.view { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 6px 0; }
.choice { min-width: 190px; max-width: 340px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.button { margin: 4px 0; }
.dash-graph { min-height: 140px; }
:root { --Dash-Text-Strong: var(--ink); --Dash-Text-Primary: var(--ink); --Dash-Text-Weak: var(--soft);
  --Dash-Fill-Inverse-Strong: var(--back); --Dash-Stroke-Strong: var(--line); --Dash-Stroke-Weak: var(--line);
  --Dash-Fill-Interactive-Strong: var(--accent); --Dash-Fill-Weak: var(--card); --Dash-Fill-Primary-Hover: var(--card);
  --Dash-Fill-Primary-Active: var(--card); --Dash-Fill-Disabled: var(--card); --Dash-Fill-Interactive-Weak: var(--card); }
"""
