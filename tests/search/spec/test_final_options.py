"""How a search ends: with a final model, out of a share of the budget, or without one."""

from __future__ import annotations

import pytest

from search.errors import SpecError
from search.spec.final_options import FinalOptions
from search.spec.load import parse_spec

PLAIN = "name: x\ndata: {path: here}\nbackbone: resnet18\n"


def test_a_study_ends_with_a_final_model_unless_its_file_turns_that_off() -> None:
    assert parse_spec(PLAIN).search.final == FinalOptions(share=0.5, top=3, soup=4)
    assert parse_spec(PLAIN + "search: {final: {share: 0.2, top: 1}}\n").search.final == FinalOptions(share=0.2, top=1)
    assert parse_spec(PLAIN + "search: {final: off}\n").search.final == "off"


@pytest.mark.parametrize(
    ("options", "field"),
    [("share: 0", "share"), ("share: 1", "share"), ("top: 0", "top"), ("soup: 0", "soup"), ("shares: 0.5", "shares")],
)
def test_options_out_of_range_or_unknown_are_refused(options: str, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(PLAIN + f"search: {{final: {{{options}}}}}\n", source="s.yaml")
    assert f"search.final.{field}" in str(caught.value)
