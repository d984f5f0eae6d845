from __future__ import annotations

import sys
from pathlib import Path

import pytest

from spaces import plugins
from spaces.errors import PluginError


@pytest.fixture(autouse=True)
def _fresh() -> None:
    plugins.load.cache_clear()


def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> str:
    name = f"room{abs(hash(tmp_path)) % 10**8}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return name


PLUGIN = "class P:\n    name = {name!r}\nthing = P()\n"


def test_every_module_without_an_underscore_is_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = room(tmp_path, monkeypatch, b=PLUGIN.format(name="b"), a=PLUGIN.format(name="a"), _base="")
    assert list(plugins.load(name, "thing")) == ["a", "b"]


def test_a_module_without_its_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = room(tmp_path, monkeypatch, broken="other = 1\n")
    with pytest.raises(PluginError, match=r"broken: defines no 'thing'"):
        plugins.load(name, "thing")


def test_a_name_taken_twice_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = room(tmp_path, monkeypatch, a=PLUGIN.format(name="same"), b=PLUGIN.format(name="same"))
    with pytest.raises(PluginError, match="is taken by"):
        plugins.load(name, "thing")


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, target: str) -> None:
    info = tmp_path / "strange_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nstrange = {target}\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_an_installed_distribution_adds_a_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = room(tmp_path, monkeypatch, a=PLUGIN.format(name="a"))
    (tmp_path / "strange_module.py").write_text(PLUGIN.format(name="strange"))
    install(tmp_path, monkeypatch, "ftsearch.testing", "strange_module:thing")
    assert list(plugins.load(name, "thing", "ftsearch.testing")) == ["a", "strange"]
    sys.modules.pop("strange_module", None)


def test_an_entry_point_that_does_not_load_names_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = room(tmp_path, monkeypatch)
    install(tmp_path, monkeypatch, "ftsearch.testing2", "no_such_module:thing")
    with pytest.raises(PluginError, match="strange-plugin"):
        plugins.load(name, "thing", "ftsearch.testing2")
