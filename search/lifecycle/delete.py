"""Deletes studies with their checkpoints."""

from __future__ import annotations

from functools import partial

from search.artifacts.stores import clear
from search.lifecycle.artifact_places import default_place, reached_artifacts
from search.sampling.optuna_storage import open_storage
from search.sampling.optuna_study import delete as optuna_delete
from search.store import DEFAULT_URL, connection, reading, repeats, urls, writing
from search.store.opening import opened


def delete_study(
    name: str, *, storage: str = DEFAULT_URL, artifacts: str | None = None, keep_artifacts: bool = False
) -> None:
    """Delete the study ``name``: checkpoints first, then Optuna's rows, then ours, so that it can be repeated.

    Args:
        artifacts: where the folder of its checkpoints is on this machine.
        keep_artifacts: leave its checkpoints where they are.

    Raises:
        NotFoundError: no such study.
        UserError: its checkpoints cannot be reached from here; nothing was deleted.
    """
    with opened(storage, must_exist=True) as engine:
        place = reading.artifacts_of(engine, name)
        artifact_store = None
        if place is not None and not keep_artifacts:
            artifact_store = reached_artifacts(place, str(default_place(name)), artifacts)
        writing.request_stop(engine, name)
        if artifact_store is not None and place is not None:
            kept = [trial[1] for trial in reading.kept_checkpoints(engine, name)]
            clear(artifact_store, place[1], [*kept, *repeats.checkpoints(engine, name)])
        insist = partial(connection.insist, patience=connection.patience_of(engine))
        url, options = urls.str_url(storage), connection.optuna_options(storage)
        opening = partial(open_storage, url, options, connection.tune, insist)
        optuna_delete(insist(opening, "Optuna's tables"), name)
        writing.delete_study(engine, name)
