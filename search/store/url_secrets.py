"""Secrets of database URLs, masked in everything that is shown: logs, errors, pages.

A URL hides a password in its user part or in a parameter (``?password=``, ``?sslpassword=``), and whatever a driver may
call a secret next. So parameters are shown only when they are known to be harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

MASK = "***"
_HARMLESS = frozenset(
    (
        *("host", "hostaddr", "port", "user", "dbname", "database", "unix_socket", "application_name", "charset"),
        *("client_encoding", "connect_timeout", "read_timeout", "write_timeout", "timeout", "target_session_attrs"),
        *("sslmode", "sslrootcert", "ssl", "ssl_ca", "ssl_check_hostname", "ssl_verify_cert", "ssl_verify_identity"),
        *("gssencmode", "channel_binding", "mode", "uri", "cache", "immutable", "nolock", "vfs"),
    )
)
_PARTS = re.compile(r"(?P<scheme>[\w+.-]+)://(?:(?P<user>[^:/]*)(?::[^@]*)?@)?(?P<rest>.*)", re.DOTALL)
"""How SQLAlchemy parses a URL: a password ends at its first ``@``."""
_SHORT = 4
"""Shorter secrets are replaced only as whole words: inside words they could be guessed from the rest."""


def shown(url: str | URL) -> str:
    """Return ``url`` for people: passwords, and all parameters that are not known to be harmless, replaced by ``***``.

    Of a URL that cannot be parsed with certainty, only the scheme is left; a plain path is shown unchanged.
    """
    if isinstance(url, str) and "://" not in url and "@" not in url:
        return url
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return "(malformed URL)"
    if is_ambiguous(text):
        return f"{parts['scheme']}://{MASK}"
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError):
        return f"{parts['scheme']}://{MASK}"
    query = {name: value if _is_harmless(name) else MASK for name, value in parsed.query.items()}
    return parsed.set(query=query).render_as_string(hide_password=True).replace(quote_plus(MASK), MASK)


def is_ambiguous(url: str) -> bool:
    """Return whether ``url`` has an ``@`` after the one that ends its user part.

    Most likely it belongs to a password whose tail would then be taken for the host. The path of an SQLite file may
    have as many as it likes.
    """
    parts = _PARTS.fullmatch(url)
    if parts is None or (parts["scheme"].startswith("sqlite") and parts["user"] is None):
        return False
    return "@" in parts["rest"]


def hide(text: str, url: str | URL | None) -> str:
    """Return ``text``, such as a driver's error, without the secrets of ``url``."""
    if url is None:
        return text
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return text
    for secret in sorted(set(_secrets(parsed)), key=len, reverse=True):
        pattern = re.escape(secret)
        text = re.sub(rf"(?<!\w){pattern}(?!\w)" if len(secret) < _SHORT else pattern, MASK, text)
    return text


def _secrets(url: URL) -> Iterator[str]:
    """Yield every secret of ``url``, plain and URL-encoded."""
    values = [str(url.password)] if url.password else []
    for name, value in url.query.items():
        if not _is_harmless(name):
            values += [value] if isinstance(value, str) else value
    for value in filter(None, values):
        yield from (value, quote(value, safe=""), quote_plus(value), quote(value, safe=" +"))


def _is_harmless(name: str) -> bool:
    return name.lower() in _HARMLESS
