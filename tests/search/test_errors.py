from __future__ import annotations

import inspect

from search import errors


def test_every_error_is_in_the_drawn_tree_and_has_an_exit_code() -> None:
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        assert issubclass(kind, errors.FinetuneError)
        assert name in (errors.__doc__ or ""), name
        assert kind.exit_code == (2 if issubclass(kind, errors.UserError) else 1)
