"""Checkpoints that belong to no trial: workers find and remove them.

A worker that is killed between the end of a trial and its clean-up leaves checkpoints for resuming, one too many, or a
file half-written. What a running trial may be writing is never touched: the place is listed first and the store asked
afterwards, so that whatever comes in between is known to it.
"""

from __future__ import annotations

import logging

from search.artifacts.stores import ArtifactStore, is_checkpoint, is_sole, resuming
from search.errors import NotFoundError, RunError
from search.store import checkpoint_owners, repeats
from search.store.checkpoint_owners import Owner
from search.store.connection import Engine
from search.trials.context import TrialContext
from search.trials.keep_best import remove_surplus

logger = logging.getLogger(__name__)


def sweep(context: TrialContext) -> tuple[str, ...]:
    """Remove what no trial, confirmation or refit of the context's study owns; return its names.

    If the place or the database cannot be reached, the sweep is left for the next time.
    """
    artifact_store, engine, study = context.artifact_store, context.engine, context.runtime.spec.name
    try:
        parent = repeats.parent_of(engine, study)
        if parent is None:
            remove_surplus(context)
        names = leftovers(artifact_store, context.key, engine, parent[0] if parent else study)
        for name in names:
            artifact_store.remove(name)
        artifact_store.sweep_partial()
    except (RunError, NotFoundError) as error:
        logger.warning("what killed workers may have left stays for now: %s", error)
        return ()
    if names:
        logger.info("%d files that killed workers had left were removed", len(names))
    return names


def leftovers(artifact_store: ArtifactStore, key: str, engine: Engine, study: str) -> tuple[str, ...]:
    """Return the names in ``artifact_store`` that are the study's and that nothing in the store refers to.

    Raises:
        TrialError: the place cannot be reached.
    """
    listed = artifact_store.names()
    owners = checkpoint_owners.owners(engine, study)
    wanted = {name for owner in owners for name in owner.names}
    being_written = tuple(begin for owner in owners if owner.is_running for begin in _begins(key, owner))
    mine = [name for name in listed if name.startswith(resuming(key))]
    if is_sole(listed, key):  # checkpoints do not say whose they are: in a shared place they may be another study's
        mine += [name for name in listed if is_checkpoint(name)]
    return tuple(name for name in mine if name not in wanted and not name.startswith(being_written))


def _begins(key: str, owner: Owner) -> tuple[str, str]:
    """Return the prefixes of the names that a worker of ``owner`` writes."""
    if owner.kind:
        return f"{resuming(key)}{owner.kind}-{owner.number:05d}/", f"{owner.kind}-{owner.number:05d}-"
    return resuming(key, owner.number), f"trial-{owner.number:05d}-"
