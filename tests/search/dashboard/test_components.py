from __future__ import annotations

import plotly.graph_objects as go
from dash import html

from search.dashboard import components
from search.report import theme
from search.report.figures.history import figure


def test_names_are_safe_in_addresses() -> None:
    assert components.study_path("a/b c?") == "/study/a%2Fb%20c%3F"
    assert components.trial_path("s", 3) == "/study/s/trial/3"
    assert components.compare_path("s", [5, 3, 5]) == "/study/s/compare?trials=3,5"
    assert components.download_path("s", "trials.csv", "state=pruned") == "/download/s/trials.csv?state=pruned"


def test_a_drawing_keeps_zoom_while_its_revision_stays() -> None:
    drawing = go.Figure(go.Scatter(x=[1], y=[1]))
    theme.menu(drawing, [("a", {"x": [[1]]}, {}), ("b", {"x": [[2]]}, {})])
    found = components.shown(drawing, 1, "v1", "same")
    assert found.figure["layout"]["uirevision"] == "same"
    assert found.figure["data"][0]["x"] == [2]
    assert found.views == ("a", "b")


def test_a_figure_has_its_title_and_how_to_read_it() -> None:
    section = components.figure(figure)
    assert isinstance(section.children[0], html.H2)
    assert section.children[0].children == figure.title
    assert section.children[1].children == figure.how_to_read


def test_a_row_that_becomes_a_card_names_its_cells() -> None:
    found = str(components.table(("kind", "reason"), [("nan", "not finite")], ("", "words"), cards=True))
    assert "Td(children='not finite', className='words', data-label='reason')" in found
    assert "className='scroll cards'" in found
    assert "cards" not in str(components.table(("what", "trial 1"), [("state", "complete")]))
