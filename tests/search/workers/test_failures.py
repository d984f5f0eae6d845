from __future__ import annotations

import errno

from search.errors import DatabaseError, TrialError
from search.workers.failures import failure_of, is_disk_full


def test_every_error_is_of_a_kind_and_keeps_its_traceback() -> None:
    assert failure_of(TrialError("x", "nan")).kind == "nan"
    assert failure_of(DatabaseError("gone")).kind == "database"
    assert failure_of(OSError(errno.ENOSPC, "No space left on device")).kind == "disk"
    assert failure_of(ValueError()).message == "ValueError"
    assert "ValueError: shapes" in failure_of(ValueError("shapes")).traceback


def test_a_full_disk_is_recognised_inside_other_errors() -> None:
    error = RuntimeError("the writer gave up")
    error.__cause__ = OSError(errno.EDQUOT, "Disk quota exceeded")
    assert is_disk_full(error)
    assert not is_disk_full(OSError(errno.EACCES, "Permission denied"))
    assert not is_disk_full(None)
