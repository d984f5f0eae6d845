"""The record of an error that ended a trial."""

from __future__ import annotations

import errno
import traceback

from search.errors import DatabaseError, TrialError
from search.records.study import Failure
from search.spec.faults import DISK_FAULT
from search.store.connection import Engine
from search.store.url_secrets import hide
from search.training import out_of_memory


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether ``error`` or one of its causes says that a disk is full: libraries wrap the system's error."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def failure_of(error: Exception, engine: Engine | None = None) -> Failure:
    """Return the record of the error that ended a trial, with the secrets of the database's URL masked."""
    kind = "error"
    if isinstance(error, TrialError):
        kind = error.kind
    elif isinstance(error, DatabaseError):
        kind = "database"
    elif is_disk_full(error):
        kind = DISK_FAULT
    elif out_of_memory.is_out_of_memory(error):
        kind = "memory"
    elif out_of_memory.is_device_lost(error):
        kind = "device"
    url, trace = engine.url if engine is not None else None, "".join(traceback.format_exception(error))
    return Failure(kind, hide(str(error), url) or type(error).__name__, hide(trace, url))
