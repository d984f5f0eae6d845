"""States of a trial, and verdicts to the training loop."""

from __future__ import annotations

from enum import StrEnum


class TrialState(StrEnum):
    """The state of a trial."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def is_finished(self) -> bool:
        return self in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)


class Verdict(StrEnum):
    """The answer of ``on_epoch`` to the training loop."""

    CONTINUE = "continue"
    PRUNE = "prune"
    """Too weak compared with other trials: end now."""
    STOP = "stop"
    """Nothing improves any more: end now, with what has been reached."""
    PAUSE = "pause"
    """The worker has to stop: write the checkpoint and end; another worker continues."""
