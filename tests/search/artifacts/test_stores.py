from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import pytest

from search.artifacts import stores as artifacts
from search.artifacts.stores import ArtifactStore, Bucket, Folder, claim_place, is_place, open_artifact_store
from search.errors import TrialError, UserError


class Memory:
    """A bucket in memory."""

    def __init__(self) -> None:
        self.found: dict[str, bytes] = {}

    def open_reader(self, artifact_id: str) -> BinaryIO:
        return io.BytesIO(self.found[artifact_id])

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self.found[artifact_id] = content_body.read()

    def remove(self, artifact_id: str) -> None:
        self.found.pop(artifact_id, None)

    def names(self, prefix: str) -> Iterable[str]:
        return [name for name in self.found if name.startswith(prefix)]


@pytest.fixture(params=["folder", "bucket"])
def artifact_store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return (
        Folder(tmp_path / "kept")
        if request.param == "folder"
        else open_artifact_store("s3://b/deep/er", lambda _: Memory())
    )


def test_bytes_come_back_under_their_name(artifact_store: ArtifactStore) -> None:
    artifact_store.put("resume-1/epoch-1.x", b"one")
    artifact_store.put("resume-1/epoch-1.x", b"two")
    assert artifact_store.get("resume-1/epoch-1.x") == b"two"
    artifact_store.remove("resume-1/epoch-1.x")
    artifact_store.remove("resume-1/epoch-1.x")
    with pytest.raises(TrialError, match="cannot read the checkpoint") as caught:
        artifact_store.get("resume-1/epoch-1.x")
    assert caught.value.kind == "disk"


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", ".hidden", "a//b", "a b", "a/.", "x\n"])
def test_no_name_leads_out_of_its_root(artifact_store: ArtifactStore, name: str) -> None:
    for act in (
        lambda: artifact_store.put(name, b""),
        lambda: artifact_store.get(name),
        lambda: artifact_store.remove(name),
    ):
        with pytest.raises(UserError, match="expected an artifact name"):
            act()


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "link").symlink_to(tmp_path)
    with pytest.raises(UserError, match="leads out of"):
        Folder(tmp_path / "kept").put("link/x", b"")


def test_an_address_that_no_path_can_be_is_nobodys_place() -> None:
    place = Folder(Path("/tmp/a\0b"))
    assert not is_place(place, "a" * 32)
    with pytest.raises(UserError, match=r"expected a folder, got '/tmp/a\\x00b'"):
        claim_place(place, "a" * 32)


def test_one_trials_checkpoints_go_and_its_neighbours_stay(artifact_store: ArtifactStore) -> None:
    for name in ("resume-k-00001/a", "resume-k-00001/b", "resume-k-00010/a", "trial-1"):
        artifact_store.put(name, b"x")
    artifact_store.remove_all("resume-k-00001/")
    assert artifact_store.get("resume-k-00010/a") == artifact_store.get("trial-1") == b"x"
    with pytest.raises(TrialError):
        artifact_store.get("resume-k-00001/a")


def test_clearing_removes_what_is_the_studys_and_nothing_else(artifact_store: ArtifactStore) -> None:
    artifacts.claim_place(artifact_store, "mine" * 8)
    artifacts.claim_place(artifact_store, "other" * 6)
    first, second = f"trial-00001-{'a' * 16}.safetensors", f"trial-00002-{'b' * 16}.safetensors"
    for name in (
        first,
        second,
        artifacts.resuming("mine" * 8, 3) + "a",
        artifacts.resuming("other" * 6, 3) + "a",
    ):
        artifact_store.put(name, b"x")
    artifacts.clear(artifact_store, "mine" * 8, [first])
    artifacts.find_place(artifact_store, "other" * 6)
    assert artifact_store.get(second) == artifact_store.get(artifacts.resuming("other" * 6, 3) + "a") == b"x"
    for name in (first, artifacts.resuming("mine" * 8, 3) + "a"):
        with pytest.raises(TrialError):
            artifact_store.get(name)


def test_another_machines_folder_is_refused_with_what_to_do(artifact_store: ArtifactStore) -> None:
    with pytest.raises(UserError, match=r"not in .* of this machine; share that folder.*--artifacts s3://"):
        artifacts.find_place(artifact_store, "k" * 32)


@pytest.mark.parametrize("address", ["s3://", "gs://b/x", "s3://b/../x"])
def test_an_address_that_means_nothing_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="--artifacts: expected"):
        open_artifact_store(address, lambda _: Memory())


def test_an_address_leads_back_to_its_store(tmp_path: Path) -> None:
    assert open_artifact_store("s3://b/x/y", lambda _: Memory()).address == "s3://b/x/y"
    assert isinstance(open_artifact_store("s3://b", lambda _: Memory()), Bucket)
    assert open_artifact_store(str(tmp_path), lambda _: Memory()) == Folder(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["report.html", "artifacts-" + "other" * 6, "resume-other-00001/x", "trial-1", "../trial-00001-x.safetensors", ""],
)
def test_a_store_cannot_have_other_files_removed(artifact_store: ArtifactStore, name: str) -> None:
    artifacts.claim_place(artifact_store, "mine" * 8)
    artifacts.claim_place(artifact_store, "other" * 6)
    for kept in ("report.html", "resume-other-00001/x", "trial-1"):
        artifact_store.put(kept, b"x")
    artifacts.clear(artifact_store, "mine" * 8, [name])
    for kept in ("report.html", "resume-other-00001/x", "trial-1", "artifacts-" + "other" * 6):
        assert artifact_store.get(kept)


@pytest.mark.parametrize("key", ["", "..", "*", "../../x", "a/b", "x" * 100, "short", "UPPER" * 4])
def test_a_key_that_no_study_has_is_not_a_place(artifact_store: ArtifactStore, key: str) -> None:
    artifact_store.put("artifacts-x", key.encode())
    assert not artifacts.is_place(artifact_store, key)


def test_a_mark_says_whose_place_it_is(artifact_store: ArtifactStore) -> None:
    key = "mine" * 8
    artifact_store.put(f"artifacts-{key}", b"something else of this name")
    assert not artifacts.is_place(artifact_store, key)
    artifacts.claim_place(artifact_store, key)
    assert artifacts.is_place(artifact_store, key)


def test_a_link_among_the_checkpoints_is_removed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis").write_bytes(b"x")
    artifact_store = Folder(tmp_path / "kept")
    artifact_store.put(artifacts.resuming("mine" * 8, 2) + "epoch-1", b"x")
    (tmp_path / "kept" / artifacts.resuming("mine" * 8, 1).rstrip("/")).symlink_to(tmp_path / "documents")
    artifacts.clear(artifact_store, "mine" * 8, ())
    assert (tmp_path / "documents" / "thesis").exists()
    assert [path.name for path in (tmp_path / "kept").iterdir()] == []
