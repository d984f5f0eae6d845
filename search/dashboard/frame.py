"""The HTML around every page: styles, scripts, and the grid's script only where a grid is."""

from __future__ import annotations

import re
from typing import Any

from dash import Dash
from flask import Flask, request

from search.dashboard import access
from search.dashboard._grid_script import SCRIPT
from search.dashboard._style import CSS
from search.dashboard.pages import study
from search.report import style_sheet
from search.report._script import COMMON
from search.report.figures._base import Section

_INDEX = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{%title%}</title>
<link rel="icon" href="data:,">{%metas%}{%css%}<style>STYLE</style><script>COMMON</script></head>
<body>{%app_entry%}<footer>{%config%}<script>SCRIPT</script>{%scripts%}{%renderer%}</footer></body></html>"""
_INDEX = _INDEX.replace("STYLE", style_sheet.CSS + CSS).replace("SCRIPT", SCRIPT).replace("COMMON", COMMON)
_PLOTLY = """<link rel="preload" as="script" href="/_dash-component-suites/plotly/package_data/plotly.min.js">
<link rel="preload" as="script" href="/_dash-component-suites/dash/dcc/async-graph.js">"""
_GRID = re.compile(r'<script src="([^"]*/dash_ag_grid/[^"]*\.js)"></script>\n?')


class FramedDash(Dash):
    """Dash with our frame; the table's script (1.3 MB) and the figures' (4.8 MB) are loaded where they are needed."""

    def interpolate_index(self, *args: Any, **parts: Any) -> Any:
        """Return the frame of the page that is asked for; Dash names all its ``parts``."""
        grid = _GRID.search(parts["scripts"])
        if grid is not None:
            parts["scripts"] = _GRID.sub("", parts["scripts"])
            parts["metas"] += f'<meta name="grid" content="{grid[1]}">'
            if study.section_of(request.query_string.decode(errors="replace")) is Section.TRIALS:
                parts["metas"] += f'<link rel="preload" as="script" href="{grid[1]}">'
            elif request.path.startswith("/study/"):  # whose first figure is seen at once
                parts["metas"] += _PLOTLY
        return super().interpolate_index(*args, **parts)  # type: ignore[no-untyped-call]


def build(server: Flask) -> FramedDash:
    """Return an empty dashboard on ``server``."""
    return FramedDash(
        "ftsearch",
        server=server,  # type: ignore[arg-type]  # its annotation forgets that a Flask is taken
        index_string=_INDEX,
        title="ftsearch",
        update_title="",
        serve_locally=True,
        include_assets_files=False,
        suppress_callback_exceptions=True,
        add_log_handler=False,
        enable_mcp=False,
    )


def script_hashes(app: Dash) -> list[str]:
    """Return what a content security policy needs to allow the inline scripts."""
    return [*app.csp_hashes(), access.hash_of(SCRIPT), access.hash_of(COMMON)]
