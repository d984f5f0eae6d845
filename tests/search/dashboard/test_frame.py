from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from search.dashboard import access


@pytest.mark.parametrize(
    ("path", "has_table", "has_figure"),
    [
        ("/", False, False),
        ("/workers", False, False),
        ("/study/drawn", False, True),
        ("/study/drawn/trial/3", False, True),
        ("/study/drawn?tab=trials", True, False),
    ],
)
def test_scripts_are_fetched_ahead_only_where_a_table_or_figure_is_seen_at_once(
    path: str, has_table: bool, has_figure: bool, filled: str, serve: Callable[..., Any]
) -> None:
    client = serve(filled).client
    text = client.get(path).text
    grid = re.search(r'<meta name="grid" content="([^"]+)">', text)
    assert grid is not None
    assert f'<script src="{grid[1]}"' not in text
    assert (f'rel="preload" as="script" href="{grid[1]}"' in text) == has_table
    assert ("plotly.min.js" in text) == has_figure
    answer = client.get(grid[1])
    assert answer.status_code == 200
    assert b"dash_ag_grid" in answer.data


def test_every_inline_script_is_allowed_by_its_hash(filled: str, serve: Callable[..., Any]) -> None:
    answer = serve(filled).client.get("/study/drawn?tab=trials")
    inline = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert len(inline) >= 2
    allowed = answer.headers["Content-Security-Policy"]
    assert [script[:60] for script in inline if access.hash_of(script) not in allowed] == []
