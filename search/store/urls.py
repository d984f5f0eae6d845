"""URLs of databases, and their form for SQLAlchemy."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from search.errors import StoreUrlError
from search.store.url_secrets import is_ambiguous, shown

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_EXAMPLE = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
_SQLITE = frozenset(
    {
        *("cache", "check_same_thread", "cached_statements", "detect_types", "immutable", "isolation_level", "mode"),
        *("nolock", "timeout", "uri", "vfs"),
    }
)
"""Parameters that SQLite's driver, and SQLite itself for ``file:`` paths, accept in a URL."""


def parse_url(url: str) -> URL:
    """Return the SQLAlchemy URL of ``url``; ``postgresql://`` means psycopg 3, ``mysql://`` PyMySQL, and a
    path that ends in ``.db`` SQLite.

    Raises:
        StoreUrlError: it is not a URL, or of an unsupported kind.
    """
    is_path = "://" not in url and url.endswith((".db", ".sqlite", ".sqlite3"))
    text = f"sqlite:///{url}" if is_path else url
    if is_ambiguous(text):
        raise StoreUrlError(
            f"storage URL {shown(text)}: more than one @, so the end of the password is unclear; write an @ of its "
            "own as %40 (and : as %3A, / as %2F, ? as %3F)"
        )
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        # Their messages contain parts of the URL, so they are not chained.
        raise StoreUrlError(f"malformed storage URL {shown(url)}; expected sqlite:///FILE.db or {_EXAMPLE}") from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() not in ("sqlite", "postgresql", "mysql"):
        raise StoreUrlError(
            f"storage URL {shown(url)}: expected sqlite, postgresql or mysql, got {parsed.drivername!r}"
        )
    if parsed.get_backend_name() == "sqlite" and (parsed.host or parsed.username is not None):
        raise StoreUrlError(
            f"storage URL {shown(url)}: SQLite has no host; name a file: sqlite:///runs/ftsearch.db, "
            "or sqlite:////home/me/ft.db with its whole path"
        )
    if parsed.get_backend_name() == "sqlite" and "?" in text and not (parsed.query and set(parsed.query) <= _SQLITE):
        raise StoreUrlError(
            f"storage URL {shown(url)}: a ? is followed by options of SQLite (timeout, mode ...), so a store's path "
            "cannot hold one; go to its folder and name the file from there, or rename the folder"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreUrlError("an in-memory store would be lost at the end; name a file: sqlite:///runs/ftsearch.db")
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        parsed = parsed.set(database=os.path.expanduser(parsed.database))  # not all are paths
        if os.path.exists(str(parsed.database)) and not os.path.isfile(str(parsed.database)):
            what = "a folder" if os.path.isdir(str(parsed.database)) else "no file"
            raise StoreUrlError(
                f"storage URL {shown(url)}: {parsed.database} is {what}; name a file, such as "
                f"sqlite:///{Path(str(parsed.database)).parent if what == 'no file' else parsed.database}/ftsearch.db"
            )
    return parsed


def str_url(url: str) -> str:
    """Return ``url`` for SQLAlchemy, password included: for other libraries' engines, never to be shown."""
    return parse_url(url).render_as_string(hide_password=False)
