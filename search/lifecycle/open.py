"""Opens studies: from a file, a mapping or the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.data.given_paths import given_path
from search.errors import UserError
from search.records.study import StudyRecord
from search.runtime import few_labels, int8_accuracy
from search.runtime.several_backbones import open_runtimes
from search.runtime.study_runtime import StudyRuntime
from search.sampling import samplers
from search.spec.load import load_spec, parse_spec, plan_of, spec_of
from search.spec.study_spec import StudySpec
from search.store import DEFAULT_URL, reading
from search.store.opening import opened

DATA_VARIABLE = "FTSEARCH_DATA"
"""Environment variable with the folders, separated as in ``PATH``, that may hold data of stored studies; unset: any."""


def open_study(
    study: str | Path | Mapping[str, Any],
    *,
    device: str = "auto",
    trials: int | None = None,
    timeout_s: float | None = None,
) -> StudyRuntime:
    """Return the study's runtime: data checked, backbone and decisions resolved; nothing is trained or stored.

    Args:
        trials, timeout_s: instead of the study file's.
    """
    return checked_runtime(limited(read_study(study), trials, timeout_s), device)


def limited(spec: StudySpec, trials: int | None, timeout_s: float | None) -> StudySpec:
    """Return ``spec`` with another number of trials and another time limit, where they are given."""
    search = spec.search
    if trials is not None:
        search = replace(search, trials=trials)
    if timeout_s is not None:
        search = replace(search, timeout=timeout_s)
    return replace(spec, search=search)


def stored_spec(stored: StudyRecord, data: Path | None = None) -> StudySpec:
    """Return the spec of a study in the store; ``data`` is where its data are on this machine, if elsewhere.

    Raises:
        UserError: its format takes no ``data``, or its data lie outside of ``FTSEARCH_DATA``.
        DatabaseError: it cannot be read.
    """
    plan, base = plan_of(stored)
    own = plan["data"]
    if data is None:
        _check_places(own, base)
        return spec_of(stored)
    if "path" not in own:
        raise UserError(f"--data: data of the format {own.get('format')} lie in no folder; leave it out")
    return spec_of(stored, {**own, "path": str(data.absolute())})


def _check_places(data: Mapping[str, Any], base: Path) -> None:
    """Check that the data are in a folder that this machine allows: others may write to the store.

    Raises:
        UserError: they are outside of the folders that ``FTSEARCH_DATA`` lists.
    """
    allowed = [Path(folder).resolve() for folder in os.environ.get(DATA_VARIABLE, "").split(os.pathsep) if folder]
    root = given_path(base, str(data.get("path", "")))
    for name, value in data.items() if allowed else ():
        own = os.path.expanduser(value) if isinstance(value, str) else ""  # as formats do, before they join it
        for path in (base / own, root / own) if own else ():
            resolved = path.resolve()
            if (name == "path" or resolved.exists()) and not any(resolved.is_relative_to(folder) for folder in allowed):
                raise UserError(
                    f"data.{name} is {str(value)!r} in the store, which is outside of {DATA_VARIABLE} "
                    f"({os.pathsep.join(map(str, allowed))}); name the data's place with --data"
                )


def load_study(name: str, *, storage: str = DEFAULT_URL) -> StudyRecord:
    """Return the study ``name`` with all its trials and their curves.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    with opened(storage, must_exist=True) as engine:
        return reading.load_study(engine, name)


def writable(folder: Path) -> Path:
    """Return ``folder``, created if need be.

    Raises:
        UserError: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink(missing_ok=True)  # another worker may have been faster
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose another folder"
        ) from error
    return folder


def read_study(study: str | Path | Mapping[str, Any]) -> StudySpec:
    if isinstance(study, Mapping):
        import yaml  # noqa: PLC0415  # only for studies given as data

        return parse_spec(yaml.safe_dump(dict(study), sort_keys=False))
    return load_spec(study)


def checked_runtime(spec: StudySpec, device: str) -> StudyRuntime:
    try:
        runtime = open_runtimes(spec, device)
    except ValueError as error:
        raise UserError(str(error)) from error
    samplers.make(spec.search.sampler, spec.search.seed)
    few_labels.check(runtime)
    int8_accuracy.check(runtime)
    return runtime
