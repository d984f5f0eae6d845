from __future__ import annotations

from pathlib import Path

import pytest

from search.data.formats.hf_text import Options
from search.data.formats.hf_text import format as plugin
from search.data.sample import Split
from search.data.texts import Text
from search.errors import DataError

datasets = pytest.importorskip("datasets")


def save(folder: Path, columns: dict[str, list[object]]) -> None:
    datasets.Dataset.from_dict(columns).save_to_disk(str(folder / "mine"))


def test_a_local_data_set_of_pairs_is_cut(tmp_path: Path) -> None:
    save(tmp_path, {"sentence1": ["a"] * 8, "sentence2": ["b"] * 8, "label": [0, 1] * 4})
    found = plugin.read(Options(dataset="mine", val_share=0.25), tmp_path)
    assert found.classes == ("0", "1")
    assert [len(found.of(split)) for split in Split] == [6, 2, 0]
    assert isinstance(found.samples[0].input, Text)
    assert found.samples[0].input.pair == "b"


def test_an_empty_text_is_named_with_its_row(tmp_path: Path) -> None:
    save(tmp_path, {"text": ["a", "", "c", "d"], "label": [0, 1, 0, 1]})
    with pytest.raises(DataError, match=r"mine\[train\], row 1: the column 'text' is empty"):
        plugin.read(Options(dataset="mine"), tmp_path)
