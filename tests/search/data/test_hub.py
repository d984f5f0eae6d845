from __future__ import annotations

from pathlib import Path

import pytest

from search.data import hub
from search.data.sample import Split
from search.data.tabular import Row
from search.errors import DataError

datasets = pytest.importorskip("datasets")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A data set as its library saves it, with a validation part and named classes."""
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    parts = {
        name: datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
        for name in ("train", "validation")
    }
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "mine"))
    return tmp_path


def test_a_saved_data_set_has_its_parts_and_names_of_classes(stored: Path) -> None:
    tables = hub.tables_of(hub.HubOptions(dataset="mine"), stored)
    assert [table.split for table in tables] == [Split.TRAIN, Split.VAL]
    rows = list(tables[0].rows)
    assert rows == [
        Row("mine[train], row 0", {"text": "a", "label": "yes"}),
        Row("mine[train], row 1", {"text": "b", "label": "no"}),
    ]


def test_what_is_missing_is_named(stored: Path) -> None:
    with pytest.raises(DataError, match="no part 'dev'; it has train, validation"):
        hub.parts_of(hub.HubOptions(dataset="mine", val_split="dev"), stored)


def test_a_data_set_that_cannot_be_opened(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", refuse)
    with pytest.raises(
        DataError, match=r"cannot open the data set 'none/such': no network; expected a name on Hugging"
    ):
        hub.parts_of(hub.HubOptions(dataset="none/such"), stored)


def test_without_its_library_the_command_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'ftsearch\[datasets\]'"):
        hub.parts_of(hub.HubOptions(dataset="x"), tmp_path)
