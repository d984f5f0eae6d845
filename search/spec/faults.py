"""The section ``faults`` of a study file: how dying workers and failing trials are handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from search.spec.durations import Duration

CANDIDATES_FAULT = frozenset({"nan", "memory"})
"""Kinds of failure that would recur on any worker: the sampler learns that the candidate is bad."""
DISK_FAULT = "disk"
MACHINES_FAULT = frozenset({DISK_FAULT, "device", "database"})
"""Kinds of failure that another attempt or machine may not meet: the trial is tried again."""

SHORTEST_LEASE_S = 1.0
"""Below it, the pause of a busy machine is taken for a worker's death."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOptions:
    """How long a study waits, and how often it tries again.

    Attributes:
        lease: seconds without a heartbeat after which a worker's trial is taken over, at least 1; also
            ``60s``, ``2m``.
        max_retries: further attempts of a trial whose worker died, or whose disk was full, before it is failed.
        max_failures: failed trials in a row after which a worker exits, naming their common cause; 0: never.
        database_timeout: seconds for which calls are retried while the database is unavailable, and for which a full
            disk is waited for.
        constant_epochs: epochs in a row in which the objective is exactly the same before a trial ends; 0: never.
    """

    lease: Annotated[Duration, Field(ge=SHORTEST_LEASE_S)] = 60.0
    max_retries: Annotated[int, Field(ge=0)] = 2
    max_failures: Annotated[int, Field(ge=0)] = 10
    database_timeout: Duration = 120.0
    constant_epochs: Annotated[int, Field(ge=0)] = 8
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
