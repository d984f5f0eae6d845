from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from search.store.tables import Base, _shielded, restored

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda key: key != "$number"), inner),
    max_leaves=10,
)


def same(left: object, right: object) -> bool:
    return repr(left) == repr(right)


@given(PLAIN)
def test_numbers_that_json_has_no_word_for_survive(value: object) -> None:
    import json

    text = json.dumps(_shielded(value), allow_nan=False)
    assert same(restored(json.loads(text)), value)


def test_all_our_tables_carry_our_prefix() -> None:
    assert all(name.startswith("ft_") for name in Base.metadata.tables)
    assert math.isnan(restored({"$number": "nan"}))
