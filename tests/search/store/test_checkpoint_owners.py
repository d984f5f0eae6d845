from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Engine

from search.records.study import Failure, StudyRecord, TrialState
from search.store import checkpoint_owners, leases, reading, repeats, writing
from search.store.repeats import RetrainingRequest


def test_every_row_that_owns_checkpoints_is_reported(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, replace(record, target=9))
    writing.create_study(engine, replace(record, name="other"))
    claims = [leases.claim(engine, "s", "w", 60) for _ in range(5)]
    complete, surplus, running, failed, waiting = claims
    assert complete and surplus and running and failed and waiting  # noqa: PT018  # for the type checker
    leases.claim(engine, "other", "w", 60)
    ending = {"value": 0.5, "best_epoch": 1, "evaluation": None, "ended": "", "seconds": 1.0}
    writing.finish_trial(engine, complete, writing.Ended(state=TrialState.COMPLETE, checkpoint="kept", **ending))
    writing.finish_trial(engine, surplus, writing.Ended(state=TrialState.COMPLETE, **ending))
    for claim in (running, failed, waiting):
        writing.record_resume(engine, claim, [f"second-{claim.number}", f"first-{claim.number}"])
    writing.fail_trial(engine, failed, Failure("disk", "full"))
    leases.release(engine, waiting)
    repeats.add(engine, "s", "refit", [RetrainingRequest({}, {}, "", 0)])
    found = {(owner.kind, owner.number): owner for owner in checkpoint_owners.owners(engine, "s")}
    assert {key: (owner.names, owner.is_running, owner.words) for key, owner in found.items()} == {
        ("", 0): (("kept",), False, "trial 0"),
        ("", 2): (("second-2", "first-2"), True, "trial 2"),
        ("", 3): (("second-3", "first-3"), False, "trial 3"),
        ("", 4): (("second-4", "first-4"), False, "trial 4"),
        ("refit", 0): ((), False, "refit 0"),
    }
    checkpoint_owners.disown(engine, found["", 0], ["kept"])
    checkpoint_owners.disown(engine, found["", 3], ["second-3", "another's"])
    checkpoint_owners.disown(engine, found["", 4], ["second-4", "first-4"])
    found = {(owner.kind, owner.number): owner for owner in checkpoint_owners.owners(engine, "s")}
    assert ("", 0) not in found
    assert (found["", 3].names, found["", 4].names) == (("first-3",), ())
    checkpoint_owners.move(engine, "s", "/new", "k")
    assert (reading.artifacts_of(engine, "s"), reading.artifacts_of(engine, "other")) == (("/new", "k"), None)
