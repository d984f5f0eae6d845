from __future__ import annotations

import inspect

import pytest

from spaces import errors
from spaces.errors import first_line


def test_every_error_is_a_space_error_and_is_in_the_drawn_tree() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, errors.SpaceError)
        assert name in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no such file\nmore of it", "no such file"),
        ("\n  the cause\n", "the cause"),
        ("", "OSError"),
        (" \n ", "OSError"),
    ],
)
def test_a_librarys_message_is_one_line_even_where_it_is_empty(message: str, said: str) -> None:
    assert first_line(OSError(message)) == said
