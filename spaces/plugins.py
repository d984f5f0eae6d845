"""Plug-ins of a package: every module in its folder without a leading underscore, then entry points."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module, metadata
from pkgutil import iter_modules
from typing import Any

from spaces.errors import PluginError


@cache
def load(package: str, attribute: str, group: str | None = None) -> dict[str, Any]:
    """Return the plug-ins of ``package`` by name: its own modules in name order, then third parties'.

    A module ``package.kernel`` offers its plug-in as ``kernel.<attribute>``, whose ``name`` must be
    ``"kernel"``. An installed distribution offers more through the entry-point ``group``; each entry
    point resolves to the plug-in itself and is known by the plug-in's ``name``.

    Raises:
        PluginError: a module or entry point fails to load, lacks the attribute or ``name``, or takes
            a name that is taken. Nothing is skipped silently.
    """
    plugins: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, plugin in (*_own(package, attribute), *_installed(group)):
        name = getattr(plugin, "name", None)
        if not isinstance(name, str) or not name:
            raise PluginError(f"{origin}: a plug-in needs a 'name' (a non-empty string), got {name!r}")
        if name in plugins:
            raise PluginError(f"{origin}: the name {name!r} is taken by {origins[name]}; choose another")
        plugins[name], origins[name] = plugin, origin
    return plugins


def _own(package: str, attribute: str) -> Iterator[tuple[str, Any]]:
    room = import_module(package)
    for module in sorted(iter_modules(room.__path__), key=lambda info: info.name):
        if module.name.startswith("_"):
            continue
        path = f"{package}.{module.name}"
        plugin = getattr(import_module(path), attribute, None)
        if plugin is None:
            raise PluginError(f"{path}: defines no '{attribute}'; end the file with '{attribute} = ...'")
        yield path, plugin


def _installed(group: str | None) -> Iterator[tuple[str, Any]]:
    if group is None:
        return
    for entry in sorted(metadata.entry_points(group=group), key=lambda point: point.name):
        owner = entry.dist.name if entry.dist else "an unknown distribution"
        origin = f"entry point '{entry.name}' ({group}) of {owner}"
        try:
            plugin = entry.load()
        except Exception as error:  # third-party code may fail in any way; the error must name its owner
            raise PluginError(f"{origin} does not load: {error}; repair or uninstall {owner}") from error
        yield origin, plugin
