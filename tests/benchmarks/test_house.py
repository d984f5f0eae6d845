from __future__ import annotations

from by_path import module_at

house = module_at("benchmarks/house.py")

LONG = "def long(self, a, b, c, d, e, f, g, *, h, i):\n" + '    """Words."""\n' + "    x = 1\n" * 41
CONTRACTS = "[importlinter:contract:search]\ntype = layers\ncontainers = search\nlayers =\n    cli\n    a | b\n"


def test_figures_count_what_they_say() -> None:
    files = {
        ".importlinter": CONTRACTS,
        "search/__init__.py": "",
        "search/api.py": "x = 1\n" * 301,
        "search/cli/run.py": LONG,
        "spaces/chains/chain.py": "def short(a, b, c, d, e, f, g, h):\n" + "    x = 1\n" * 40,
    }
    found = house.figures(files)
    assert found == {
        "rooms of search": 1,
        "loose modules of search": 1,
        "layers of search": 2,
        "rooms of spaces": 1,
        "loose modules of spaces": 0,
        "layers of spaces": 0,
        "files": 4,
        "lines": 301 + 43 + 41,
        "files over 300 lines": 1,
        "functions over 40 lines": 1,
        "functions with more than 8 arguments": 1,
    }
