from __future__ import annotations

from pathlib import Path

import pytest

from search.data.formats.hf_tokens import Options
from search.data.formats.hf_tokens import format as plugin
from search.data.sample import Split
from search.errors import DataError

datasets = pytest.importorskip("datasets")


def save(folder: Path, words: list[list[str]], tags: list[list[int]]) -> None:
    names = datasets.ClassLabel(names=["O", "B-X"])
    features = datasets.Features({"tokens": datasets.List(datasets.Value("string")), "ner_tags": datasets.List(names)})
    rows = datasets.Dataset.from_dict({"tokens": words, "ner_tags": tags}, features=features)
    rows.save_to_disk(str(folder / "mine"))


def test_lists_of_words_and_tags_by_their_names(tmp_path: Path) -> None:
    save(tmp_path, [["a", "b"], ["c"]] * 4, [[0, 1], [1]] * 4)
    found = plugin.read(Options(dataset="mine", val_share=0.25), tmp_path)
    assert found.classes == ("O", "B-X")
    assert {sample.target for sample in found.samples} == {(0, 1), (1,)}
    assert len(found.of(Split.VAL)) == 2


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    save(tmp_path, [["a", "b"], ["c"]], [[0], [1]])
    with pytest.raises(DataError, match=r"mine\[train\], row 0: expected as many words as tags.*got 2 and 1"):
        plugin.read(Options(dataset="mine"), tmp_path)
    with pytest.raises(DataError, match=r"no column 'words'; it has tokens, ner_tags; set `data.words_column`"):
        plugin.read(Options(dataset="mine", words_column="words"), tmp_path)
