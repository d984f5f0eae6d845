from __future__ import annotations

import inspect

from spaces import errors


def test_every_error_is_a_space_error_and_is_in_the_drawn_tree() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, errors.SpaceError)
        assert name in (errors.__doc__ or "")
