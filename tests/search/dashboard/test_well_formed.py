"""Whatever is sent to the dashboard, its own answer is never an error of the server."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from search.dashboard.well_formed import read

CALLBACKS = "/_dash-update-component"
VALUES = {
    "pathname": "/study/drawn", "search": "", "clickData": {"points": [{"customdata": [3], "x": 1}]},
    "selectedData": {"points": [{"customdata": 3}]}, "n_intervals": 1, "n_clicks": 1,
    "getRowsRequest": {"startRow": 0, "endRow": 100, "sortModel": [{"colId": "value", "sort": "desc"}],
                       "filterModel": {"state": {"filterType": "text", "type": "contains", "filter": "e"}},
                       "context": {"study": "/study/drawn"}},
}  # fmt: skip
BY_ID = {
    "picked": {"drawn": [1]}, "pulse": "drawn 1", "brushed": [[0, 0.5]], "trials-search": "sgd",
    "filter-state": ["complete"], "filter-since": "2026-01-01", "filter-until": None, "filter": "2..5", "view": 0,
    "drawn": "drawn 1 0", "seen": True,
}  # fmt: skip
STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 1.5, 10**30, "", "x", "../..", "\x00", "\ud800", "9" * 400, [], [None], [[1]], {}, {"a": 1}),
    *({"points": 1}, {"points": [1]}, {"points": [{"customdata": {}}]}, {"drawn": ["x"]}, {"drawn": 1}, "/study/none"),
    *({"type": "clear", "name": "picks"}, "front", "comparison", ["x"], "?tab=x", "/workers", "/study/drawn/trial/3"),
)


def made(wanted: dict[str, str]) -> Any:
    """Return a property as the browser sends it."""
    if not wanted["id"].startswith("{"):
        own: Any = wanted["id"]
    else:
        pattern = json.loads(wanted["id"])
        own = {name: {"name": "history"}[name] if isinstance(one, list) else one
               for name, one in pattern.items()}  # fmt: skip
    value = own if wanted["property"] == "id" else VALUES.get(wanted["property"])
    value = BY_ID.get(own["type"] if isinstance(own, dict) else own, value) if value is None else value
    one = {"id": own, "property": wanted["property"], "value": value}
    return [one] if "ALL" in wanted["id"] else one


def request_for(declared: dict[str, Any]) -> dict[str, Any]:
    """Return the request that Dash's program in the browser makes for a callback."""
    output = declared["output"]
    several = output.startswith("..")
    outputs = [made(dict(zip(("id", "property"), one.rsplit(".", 1), strict=True)))
               for one in (output[2:-2].split("...") if several else [output.split("@")[0]])]  # fmt: skip
    inputs = [made(one) for one in declared["inputs"]]
    first = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
    name = first["id"]
    name = name if isinstance(name, str) else json.dumps(name, sort_keys=True, separators=(",", ":"))
    return {
        "output": output, "outputs": outputs if several else outputs[0], "inputs": inputs,
        "state": [made(one) for one in declared["state"]], "changedPropIds": [f"{name}.{first['property']}"],
    }  # fmt: skip


@pytest.fixture
def client(filled: str, serve: Callable[..., Any]) -> Any:
    found = serve(filled).client
    found.application.testing = False  # errors are answered, as they are to a browser
    found.application.config["PROPAGATE_EXCEPTIONS"] = False
    return found


@pytest.fixture
def requests(client: Any) -> list[dict[str, Any]]:
    declared = client.get("/_dash-dependencies").get_json()
    return [request_for(one) for one in declared if not one["clientside_function"]]


def test_what_the_browsers_program_sends_is_answered(client: Any, requests: list[dict[str, Any]]) -> None:
    assert len(requests) == 12
    for request in requests:
        answer = client.post(CALLBACKS, json=request)
        assert answer.status_code in (200, 204), (request["output"], answer.text)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where something in ``value`` can be put something else for."""
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from places(value[key], (*path, key))


def with_change(request: Any, path: tuple[Any, ...], value: Any, *, drop: bool) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(request)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if drop:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
def test_what_no_browser_sends_is_refused(client: Any, requests: list[dict[str, Any]], seed: int) -> None:
    rng = random.Random(seed)
    for request in requests:
        everywhere = list(places(request))
        values = [path for path in everywhere if "value" in path]
        for path in rng.sample(everywhere, min(len(everywhere), 12)) + rng.sample(values, min(len(values), 8)):
            changed = with_change(request, path, rng.choice(STRANGE), drop=rng.random() < 0.2)
            answer = client.post(CALLBACKS, data=json.dumps(changed), content_type="application/json")
            assert answer.status_code in (200, 204, 400), (path, changed, answer.text)


def test_what_changed_may_have_left_the_page_but_is_an_input(client: Any, requests: list[dict[str, Any]]) -> None:
    picks = next(one for one in requests if one["output"] == "picked.data")
    for changed, expected in (
        (['{"name":"x","type":"clear"}.n_clicks'], 200),
        (["pulse.data"], 400),
        (['{"name":99}.n_clicks'], 400),
        (['{"name":.n_clicks'], 400),
        (["{" * 10_000 + ".value"], 400),
    ):
        assert client.post(CALLBACKS, json={**picks, "changedPropIds": changed}).status_code == expected


@pytest.mark.parametrize("body", [
    b"", b"{", b"null", b"[]", b"1", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5000, b'{"output": {}}',
    b'{"output": "nothing.here", "outputs": {"id": "nothing", "property": "here"}, "inputs": []}',
    b'{"output": "pulse.data", "outputs": {"id": "pulse", "property": "data"}, "inputs": [], "state": []}',
])  # fmt: skip
def test_a_body_that_is_not_a_call_is_refused_in_a_line(client: Any, body: bytes) -> None:
    for kind, expected in (("application/json", {400}), ("text/plain", {415}), ("", {415})):
        answer = client.post(CALLBACKS, data=body, content_type=kind)
        assert answer.status_code in expected
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("path", ["../..", "x/y.js", "dash/../../etc/passwd", "dash/dcc/none.js", "dash/%00",
    "os/path.py", "%ff/x.js", "dash/dcc/..%2f..%2fversion.py", "dash/.v1m2.", "dash.dcc/async-graph.js"])  # fmt: skip
def test_a_file_that_no_component_has_is_not_found(client: Any, path: str) -> None:
    answer = client.get(f"/_dash-component-suites/{path}")
    assert (answer.status_code, answer.text) == (404, "No such component.\n")


def test_a_components_file_is_served(client: Any) -> None:
    assert client.get("/_dash-component-suites/dash/dcc/async-graph.js").status_code == 200


def test_a_fault_is_named_with_its_place() -> None:
    from werkzeug.exceptions import BadRequest

    assert read(dict[str, list[int]] | None, {"drawn": [1]}) == {"drawn": [1]}
    with pytest.raises(BadRequest, match=r"malformed at drawn.0: Input should be a valid integer"):
        read(dict[str, list[int]], {"drawn": ["x"]})
