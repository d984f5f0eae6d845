"""The dashboard: the report's figures, live, over a store that is only read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dash import ALL, MATCH, Dash, Input, Output, State, ctx, dcc, html, no_update
from flask import Flask

from search.dashboard import access, components, compression, files, frame, trials_table, well_formed
from search.dashboard.filters import of_inputs
from search.dashboard.grid_request import Request
from search.dashboard.pages import compare, study
from search.dashboard.routes import Address, Pages
from search.dashboard.study_cache import StudyCache
from search.dashboard.well_formed import checked, read
from search.errors import FinetuneError
from search.records.states import TrialState
from search.report import theme
from search.report.figures import parallel_coordinates
from search.report.figures._base import Section
from search.sampling.importance import prepare_importances
from search.store.connection import Engine, shown

logger = logging.getLogger(__name__)
_TICK_MS = 2000
Picked = dict[str, list[int]] | None
"""The trials that a visitor has picked, by study."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a figure and its meaning."""

    customdata: Any = None
    x: Any = None
    y: Any = None


@dataclass(frozen=True, slots=True)
class Marked:
    """What a visitor has clicked or selected in a figure."""

    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Named:
    """The figure or filter that a component belongs to."""

    name: str


def build(
    engine: Engine, store: str, *, host: str = "127.0.0.1", token: str | None = None, ahead: bool = False
) -> Dash:
    """Return the dashboard over ``engine``, the store at the URL ``store``; serve its ``server``.

    ``ahead`` starts reading the newest studies at once, so that the first visitor need not wait.

    Raises:
        UserError: ``host`` lets others in and there is no token.
    """
    access.check(host, token)
    server = Flask("ftsearch")
    app = frame.build(server)
    prepare_importances()
    cache = StudyCache(engine)
    if ahead:
        cache.warm_up()
    pages = Pages(cache, shown(store))
    files.offer(server, pages.cache)
    app.layout = _layout
    _navigation(app, pages)
    _live(app, pages)
    _listing(app, pages)
    _choosing(app, pages)
    theme.sentence("").to_json()  # Plotly loads its parts when it first draws: not while a visitor waits
    access.guard(server, host=host, token=token, script_hashes=frame.script_hashes(app))
    compression.offer(server)  # runs before the headers of access control, which keep what it says of caches
    well_formed.guard(server, app)
    return app


def _layout() -> html.Div:
    return html.Div(
        [
            html.A("Skip to the results", href="#content", className="skip"),
            html.Header(
                [
                    html.Strong("ftsearch"),
                    dcc.Link("Studies", href="/"),
                    dcc.Link("Workers", href="/workers"),
                    html.Span(id="updated", className="soft"),
                    html.Button("Theme: ", className="theme"),
                ],
                className="top",
            ),
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Interval(id="tick", interval=_TICK_MS),
            dcc.Store(id="title", data=""),
            dcc.Store(id="picked", data={}, storage_type="session"),
            html.Main(dcc.Store(id="pulse", data=""), id="content", className="page"),  # until the first page is there
        ]
    )


def _navigation(app: Dash, pages: Pages) -> None:
    @app.callback(
        Output("content", "children"),
        Output("title", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
        State("picked", "data"),
    )
    @checked
    def _page(path: str | None, query: str | None, picked: Picked) -> Any:
        address = Address.of(path, query)
        pulse = pages.opened(address)  # first: what changes while the page is made is noticed at the next tick
        shown_page = pages.page(address, (picked or {}).get(address.study, []))
        return [dcc.Store(id="pulse", data=pulse), shown_page], address.title

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input({"type": "figure", "name": ALL}, "clickData"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    @checked
    def _open(_: list[Marked | None], path: str | None) -> Any:
        target = next(iter(_marked()), None)
        target = target[0] if isinstance(target, list) and target else target
        address = Address.of(path, "")
        if isinstance(target, int) and address.kind == "study":
            return components.trial_path(address.study, target)
        if isinstance(target, str) and address.kind == "overview":
            return components.study_path(target)
        return no_update

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("filter-apply", "n_clicks"),
        State("filter-state", "value"),
        State("filter-since", "value"),
        State("filter-until", "value"),
        State({"type": "filter", "name": ALL}, "value"),
        State({"type": "filter", "name": ALL}, "id"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    @checked
    def _filter(
        clicks: int | None,
        states: list[TrialState] | None,
        since: str | None,
        until: str | None,
        values: list[list[str] | str | None],
        ids: list[Named],
        path: str | None,
        query: str | None,
    ) -> Any:
        if not clicks:
            return no_update
        named = {own.name: value for own, value in zip(ids, values, strict=False)}
        wanted = of_inputs(states, since, until, named).to_query()
        section: Section = study.section_of(query or "")
        return f"{path}?tab={section.value}" + (f"&{wanted}" if wanted else "")


def _live(app: Dash, pages: Pages) -> None:
    app.clientside_callback(  # type: ignore[no-untyped-call]
        "function (title) { if (title) document.title = title; }", Input("title", "data")
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        components.UPDATED, Output("updated", "children"), Input("tick", "n_intervals"), Input("pulse", "data")
    )

    @app.callback(
        Output("pulse", "data"),
        Input("tick", "n_intervals"),
        State("url", "pathname"),
        State("url", "search"),
        State("pulse", "data"),
        prevent_initial_call=True,
    )
    @checked
    def _tick(_: int | None, path: str | None, query: str | None, before: str | None) -> Any:
        now = _quietly(lambda: pages.announced(Address.of(path, query), before))
        return no_update if now == before else now

    @app.callback(
        Output("facts", "children"),
        Input("pulse", "data"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    @checked
    def _facts(_: str | None, path: str | None, query: str | None) -> Any:
        return _quietly(lambda: pages.facts(Address.of(path, query)))

    @app.callback(
        Output("learnt", "children"), Input("pulse", "data"), State("url", "pathname"), State("url", "search")
    )
    @checked
    def _learnt(_: str | None, path: str | None, query: str | None) -> Any:
        return _quietly(lambda: pages.learnt(Address.of(path, query)))

    @app.callback(
        Output({"type": "update", "name": MATCH}, "data"),
        Output({"type": "drawn", "name": MATCH}, "data"),
        Output({"type": "view", "name": MATCH}, "options"),
        Output({"type": "views", "name": MATCH}, "style"),
        Input({"type": "view", "name": MATCH}, "value"),
        Input("pulse", "data"),
        Input({"type": "seen", "name": MATCH}, "data"),
        State({"type": "drawn", "name": MATCH}, "data"),
        State({"type": "drawn", "name": MATCH}, "id"),
        State("url", "pathname"),
        State("url", "search"),
    )
    @checked
    def _draw(
        view: int | None,
        _: str | None,
        seen: bool | None,
        drawn: str | None,
        own: Named,
        path: str | None,
        query: str | None,
    ) -> Any:
        if not seen:  # not scrolled to yet
            return no_update, no_update, no_update, no_update
        drawing = _quietly(lambda: pages.drawing(Address.of(path, query), own.name, view or 0))
        if not isinstance(drawing, components.Shown) or drawing.version == drawn:
            return no_update, no_update, no_update, no_update
        style = {} if len(drawing.views) > 1 else {"display": "none"}
        again = (drawn or "").rsplit(" ", 1)[-1] == drawing.version.rsplit(" ", 1)[-1]
        update = components.new_figure(drawing.figure, keep_ranges=again)
        return update, drawing.version, components.options(drawing.views), style

    app.clientside_callback(  # type: ignore[no-untyped-call]
        components.MOUNT,
        Output({"type": "plot", "name": MATCH}, "children"),
        Input({"type": "seen", "name": MATCH}, "data"),
        State({"type": "seen", "name": MATCH}, "id"),
        prevent_initial_call=True,
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        components.UPDATE_FIGURE,
        Output({"type": "figure", "name": MATCH}, "figure"),
        Input({"type": "update", "name": MATCH}, "data"),
        State({"type": "figure", "name": MATCH}, "figure"),
    )

    @app.callback(
        Output("trials-summary", "children"),
        Input("pulse", "data"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    @checked
    def _summary(_: str | None, path: str | None, query: str | None) -> Any:
        return _quietly(lambda: trials_table.summary(pages.trials(Address.of(path, query))))

    app.clientside_callback(  # type: ignore[no-untyped-call]
        trials_table.RENEW, Input("pulse", "data"), prevent_initial_call=True
    )


def _listing(app: Dash, pages: Pages) -> None:
    @app.callback(
        Output("trials", "getRowsResponse"),
        Input("trials", "getRowsRequest"),
        State("trials-search", "value"),
        State("brushed", "data"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    @checked
    def _rows(
        asked: Request | None,
        search: str | None,
        brushed: list[tuple[int, float]] | None,
        path: str | None,
        query: str | None,
    ) -> Any:
        if asked is None:
            return no_update
        return _quietly(lambda: pages.listed(Address.of(path, query), asked, search or "", brushed or []))

    app.clientside_callback(  # type: ignore[no-untyped-call]
        trials_table.ASK_AGAIN,
        Input("trials-search", "value"),
        Input("brushed", "data"),
        prevent_initial_call=True,
    )
    for moment in (Input("picked", "data"), Input("trials", "id")):
        app.clientside_callback(  # type: ignore[no-untyped-call]
            trials_table.TICK, moment, State("picked", "data"), State("url", "pathname")
        )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        trials_table.TICKED,
        Output("picked", "data", allow_duplicate=True),
        Input("ticked", "data"),
        State("picked", "data"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    app.clientside_callback(trials_table.SHOW_COLUMNS, Input("trials-columns", "value"))  # type: ignore[no-untyped-call]


def _choosing(app: Dash, pages: Pages) -> None:
    @app.callback(
        Output("picked", "data"),
        Input({"type": "figure", "name": ALL}, "selectedData"),
        Input({"type": "clear", "name": ALL}, "n_clicks"),
        State("picked", "data"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    @checked
    def _pick(
        _: list[Marked | None],
        __: list[int | None],
        before: Picked,
        path: str | None,
    ) -> Any:
        address = Address.of(path, "")
        if address.kind != "study" or not ctx.triggered_id:
            return no_update
        picked = set((before or {}).get(address.study, []))
        kind = ctx.triggered_id["type"]
        if ctx.triggered_id["name"] == parallel_coordinates.figure.name:  # which filters the table
            return no_update
        if kind == "clear":
            picked = set() if ctx.triggered[0]["value"] else picked
        else:
            picked |= {number for number in _marked() if isinstance(number, int)}
        chosen = sorted(picked)[: compare.MOST]
        if chosen == (before or {}).get(address.study, []):
            return no_update
        return {**(before or {}), address.study: chosen}

    @app.callback(
        Output("brushed", "data"),
        Output("brushed-words", "children"),
        Input({"type": "figure", "name": parallel_coordinates.figure.name}, "selectedData"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    @checked
    def _brush(marked: Marked | None, path: str | None, query: str | None) -> Any:
        points = [(one.x, one.y) for one in marked.points] if marked else []
        brushed = [(x, y) for x, y in points if isinstance(x, int) and isinstance(y, int | float) and 0 <= y <= 1]
        if not brushed:
            return None, ""
        found = _quietly(lambda: pages.brushed(Address.of(path, query), brushed))
        return (brushed, trials_table.brushed_words(len(found))) if isinstance(found, list) else (no_update, no_update)

    @app.callback(
        Output("compare", "href"),
        Output("compare", "children"),
        Input("picked", "data"),
        State("url", "pathname"),
    )
    @checked
    def _offer(picked: Picked, path: str | None) -> Any:
        address = Address.of(path, "")
        chosen = (picked or {}).get(address.study, [])
        return components.compare_path(address.study, chosen), study.compare_text(chosen)


def _marked() -> list[Any]:
    """Return the meaning of the points that the visitor has just clicked or selected."""
    marked: Marked | None = read(Marked | None, ctx.triggered[0]["value"]) if ctx.triggered else None
    return [point.customdata for point in marked.points] if marked else []


def _quietly(ask: Callable[[], Any]) -> Any:
    """Return the update; none while the database is unreachable or after the study was removed."""
    try:
        return ask()
    except FinetuneError as error:
        logger.warning("%s", error)
        return no_update


def address_of(host: str, port: int) -> str:
    """Return the address to open in a browser."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/"
