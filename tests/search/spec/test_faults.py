from __future__ import annotations

import pytest

from search.errors import SpecError
from search.spec.faults import FaultOptions
from search.spec.load import parse_spec

STUDY = "name: s\ndata: {path: x}\nbackbone: resnet18\n"


def test_times_and_numbers_of_tries_are_read_from_the_study_file() -> None:
    faults = parse_spec(STUDY + "faults: {lease: 2m, max_retries: 0, database_timeout: 1h}\n").faults
    assert (faults.lease, faults.max_retries, faults.database_timeout) == (120, 0, 3600)
    assert parse_spec(STUDY).faults == FaultOptions()


@pytest.mark.parametrize(
    "text",
    [
        "lease: 0s",
        "lease: 0.5",
        f"lease: {'9' * 400}d",
        "max_retries: -1",
        "leese: 1m",
        "database_timeout: never",
        "database_timeout: 99999d",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="faults"):
        parse_spec(STUDY + f"faults: {{{text}}}\n")
