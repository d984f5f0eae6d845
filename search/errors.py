"""What can go wrong in a search.

FinetuneError               everything below; the message is one line for people
 +- UserError               the input is wrong: study file, data, arguments, URL (exit 2)
 |   +- SpecError           the study file, all its errors with their lines
 |   +- DataError           the data set
 |   |   +- BrokenSamplesError  samples of it, which `on_error: skip` leaves out
 |   +- StoreUrlError       a storage URL that is malformed or leads nowhere
 |   +- ConflictError       the name is taken by a study of other data or another space
 |   +- NotFoundError       no such study or trial
 |   +- StudyBackboneError  one of several backbones cannot be had
 |   +- ConstraintError     no candidate of the space satisfies the constraints
 +- RunError                the input was right and yet it failed (exit 1)
     +- TrialError          a trial cannot go on: NaN, out of memory, disk full
     +- SchemaError         the database's schema is newer than this program
     +- DatabaseError       the database refuses, or was unreachable for too long
     +- LeaseLostError      this worker's claim on a trial has been taken over
"""

from __future__ import annotations


class FinetuneError(Exception):
    """Anything ftsearch reports itself; ``str(error)`` is what a user sees."""

    exit_code = 1


class UserError(FinetuneError):
    """The input is wrong; nothing was trained and nothing is lost."""

    exit_code = 2


class SpecError(UserError):
    """The study file is wrong; the message holds one line per error."""


class DataError(UserError):
    """The data set is missing, empty, or broken."""


class BrokenSamplesError(DataError):
    """Some samples are broken; ``lines`` has one for each of them, with file and line."""

    def __init__(self, message: str, lines: tuple[str, ...]) -> None:
        super().__init__(message)
        self.lines = lines


class StoreUrlError(UserError):
    """The storage URL is malformed or the database cannot be reached."""


class ConflictError(UserError):
    """The study of that name was made from other data, another backbone or another space."""


class NotFoundError(UserError):
    """No study or trial of that name."""


class StudyBackboneError(UserError):
    """One of a study's backbones cannot be opened, or a range does not fit it; finished trials are kept."""


class ConstraintError(UserError):
    """No drawn candidate satisfies the study's constraints; finished trials are kept."""


class RunError(FinetuneError):
    """The run failed although the input was right."""


class TrialError(RunError):
    """This trial cannot go on; the study can.

    ``kind`` is one word that failures are grouped by: ``nan``, ``memory``, ``disk``, ``candidate``.
    """

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class SchemaError(RunError):
    """The database was written by a newer ftsearch."""


class DatabaseError(RunError):
    """The database refuses, or has been unreachable for too long."""


class LeaseLostError(RunError):
    """Another worker owns the trial now; nothing more may be written for it."""
