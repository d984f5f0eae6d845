from __future__ import annotations

import pytest

from search.data.conll_files import Sentence, tagged_dataset
from search.data.formats.conll import Options
from search.data.sample import Split
from search.errors import DataError


def test_every_part_shows_every_tag_as_far_as_it_goes() -> None:
    sentences = [Sentence(f"s {n}", ("a", "b"), ("O", "B-X" if n % 2 else "B-Y"), None) for n in range(20)]
    found = tagged_dataset("name", sentences, (), Options(path="x"))
    assert found.classes == ("O", "B-X", "B-Y")
    shown = {tag for sample in found.of(Split.VAL) for tag in sample.target}
    assert shown == {0, 1, 2}
    assert len(found.of(Split.VAL)) == 4


def test_problems_of_a_format_are_passed_on() -> None:
    with pytest.raises(DataError, match="row 7 is bad; fix it"):
        tagged_dataset("name", [], ["row 7 is bad"], Options(path="x"))
