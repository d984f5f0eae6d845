from __future__ import annotations

import os
from pathlib import Path

import pytest

from search.errors import StoreUrlError
from search.store import urls


def test_the_servers_own_options_go_through() -> None:
    url = urls.parse_url("postgresql://h/db?sslmode=verify-full&sslrootcert=/ca.pem")
    assert dict(url.query) == {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}


@pytest.mark.parametrize("url", ["sqlite:////tmp/a?b/x.db", "runs/what?.db", "sqlite:///a?b=c/x.db", "sqlite:///x.db?"])
def test_a_question_mark_leads_to_no_other_file(url: str) -> None:
    with pytest.raises(StoreUrlError, match="a store's path cannot hold one"):
        urls.parse_url(url)


def test_options_of_sqlite_go_through(tmp_path: Path) -> None:
    assert urls.parse_url(f"sqlite:///{tmp_path}/x.db?timeout=3").query == {"timeout": "3"}
    assert urls.parse_url("sqlite:///file:x.db?mode=ro&uri=true").database == "file:x.db"


@pytest.mark.parametrize(
    ("form", "name"),
    [("sqlite:///{}", "folder"), ("sqlite:///{}", "pipe"), ("{}", "folder.db"), ("{}", "pipe.db")],
)
def test_what_is_no_file_is_no_store(tmp_path: Path, form: str, name: str) -> None:
    place = tmp_path / name
    place.mkdir() if name.startswith("folder") else os.mkfifo(place)
    with pytest.raises(StoreUrlError, match=r"is (a folder|no file); name a file, such as sqlite:///.*/ftsearch\.db"):
        urls.parse_url(form.format(place))


@pytest.mark.parametrize("url", ["sqlite:///~/a/x.db", "~/a/x.db"])
def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert urls.parse_url(url).database == "/home/me/a/x.db"


@pytest.mark.parametrize("url", ["sqlite:///a~b/x.db", "sqlite:////~/x.db", "sqlite:///file:x.db?uri=true"])
def test_other_tildes_and_files_stay(url: str) -> None:
    assert urls.parse_url(url).database == url.removeprefix("sqlite:///").removesuffix("?uri=true")
