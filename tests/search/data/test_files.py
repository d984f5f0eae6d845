from __future__ import annotations

import os
from pathlib import Path

import pytest

from search.data.files import Walk, files_below, is_passed_over, text_of, visible
from search.errors import DataError
from search.records.plain_text import printable


@pytest.mark.parametrize(
    "name",
    [
        *(".git", ".ipynb_checkpoints", ".DS_Store", "._x.png", "@eaDir", "@Recycle", ".@__thumb", "#recycle"),
        *(
            "__MACOSX",
            "$RECYCLE.BIN",
            "System Volume Information",
            "lost+found",
            "__pycache__",
            "Thumbs.db",
            "desktop.ini",
        ),
    ],
)
def test_names_of_the_system_are_passed_over(name: str) -> None:
    assert is_passed_over(name)


@pytest.mark.parametrize("name", ["cats", "_masks", "#1", "$5", "x.png", "IMG (1).jpg", "été", "a.b", "~home"])
def test_names_of_people_are_not(name: str) -> None:
    assert not is_passed_over(name)


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    for name in ("a.png", "b/c.JPG", "b/@eaDir/c.JPG/thumb.jpg", ".ipynb_checkpoints/a.png", "._a.png", "b/d.heic"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("e.heic", "notes", "a.txt"):
        (tmp_path / name).touch()
    walk = Walk()
    found = walk.files(tmp_path, (".png", ".jpg"), beside=(".txt",))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.png", "b/c.JPG"]
    hidden, others = walk.lines()
    assert hidden.startswith("3 files in hidden or system folders ignored: ")
    assert all(name in hidden for name in ("@eaDir", ".ipynb_checkpoints", "._a.png"))
    assert others == "3 files with other extensions not read: 2 .heic, 1 without extension"


def test_a_folder_inside_a_hidden_one_is_read(tmp_path: Path) -> None:
    root = tmp_path / ".cache" / "data"
    root.mkdir(parents=True)
    (root / "a.png").touch()
    (root / ".git").mkdir()
    (root / "cats").mkdir()
    walk = Walk()
    assert len(walk.files(root, (".png",))) == 1
    assert [folder.name for folder in walk.folders(root)] == ["cats"]
    assert walk.lines() == ()


def test_links_in_circles_and_pipes_are_not_files(tmp_path: Path) -> None:
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    assert Walk().files(tmp_path, (".png",)) == []


def test_names_that_are_not_utf_8_can_be_printed() -> None:
    assert printable(os.fsdecode(b"caf\xe9.png")) == "caf\\udce9.png"
    assert printable("été ✓") == "été ✓"
    printable("half \ud83d").encode()


def test_what_is_passed_over_is_neither_visible_nor_below(tmp_path: Path) -> None:
    for name in ("b/2.png", "a.png", "b/@eaDir/x.png", "__MACOSX/b/2.png", "._a.png", ".git/x", "b/c/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in visible(tmp_path)] == ["a.png", "b"]
    assert [str(path.relative_to(tmp_path)) for path in visible(tmp_path, "*/*.png", "*.png")] == ["a.png", "b/2.png"]
    assert [str(path.relative_to(tmp_path)) for path in files_below(tmp_path)] == ["a.png", "b/2.png", "b/c/1.png"]
    assert visible(tmp_path / "nowhere", "*.png") == []


def test_a_text_file_is_read_or_the_error_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfant")
    assert text_of(tmp_path / "marked.txt") == "ant"
    (tmp_path / "latin.txt").write_bytes("Mücke".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt is not UTF-8 text: .* at byte 1; save it as UTF-8"):
        text_of(tmp_path / "latin.txt")
    with pytest.raises(DataError, match=r"none\.txt: No such file or directory; `data\.path` is relative"):
        text_of(tmp_path / "none.txt")
    with pytest.raises(DataError, match=r"none\.txt: No such file or directory$"):
        text_of(tmp_path / "none.txt", "")
