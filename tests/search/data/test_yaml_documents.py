from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml

from search.data import yaml_documents
from search.data.yaml_documents import load, parse

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{one}: &{one} [{', '.join([f'*{before}'] * 9)}]\n" for before, one in zip("abcdefgh", "bcdefghi", strict=True)
)
KEYS = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{one}: &{one} {{p: *{before}, q: *{before}, r: *{before}, s: *{before}}}\n"
    for before, one in zip("abcdefghijk", "bcdefghijkl", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "its aliases expand to more than 100,000 values"),
        (KEYS, "its aliases expand to more than 100,000 values"),
        ("[" * 5000, "nested deeper than 100"),
        ("[" * 150 + "]" * 150, "nested deeper than 100"),
        ("{a: " * 150 + "1" + "}" * 150, "nested deeper than 100"),
        ("- " * 3000 + "a", "nested deeper than 100"),
        ("a: &a [*a]", "an alias is inside the node that it names"),
        ("a: &a {b: &b [*a]}", "an alias is inside the node that it names"),
        ("seed: " + "1" * 5000, "a value cannot be read"),
        ("day: 2024-13-45", "a value cannot be read: month must be in"),
        ("day: !!timestamp soon", "a value cannot be read"),
        ("on: !!bool maybe", "a value cannot be read"),
        ("a: *b", "undefined alias"),
        ("a\0b", "special characters are not allowed"),
    ],
)
@pytest.mark.timeout(20)
def test_what_would_grow_or_nest_without_bound_is_refused_at_once(text: str, message: str) -> None:
    begin = time.process_time()
    with pytest.raises(yaml.YAMLError, match=message):
        load(text)
    assert time.process_time() - begin < 2


def test_documents_that_people_write_are_read() -> None:
    text = "base: &base {lr: 0.1, steps: [1, 2]}\none: *base\ntwo: {<<: *base, lr: 0.2}\n"
    assert load(text) == yaml.safe_load(text)
    assert load("") is None
    assert load("# nothing\n") is None
    data, node = parse("a: 1")
    assert data == {"a": 1}
    assert isinstance(node, yaml.MappingNode)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_what_nobody_wrote_by_hand_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "study.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)
    with pytest.raises(OSError, match="larger than 4 MB" if kind == "huge" else "not a plain file"):
        yaml_documents.text_of(path)
