"""Watch studies in a browser while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import StorageOption

if TYPE_CHECKING:
    from search.store.connection import Engine

_LOOK_S = 1.0
SECTION, ORDER = "Review", 5


def command(
    storage: StorageOption = None,
    host: Annotated[
        str,
        typer.Option("--host", metavar="ADDRESS", help="Address to listen on; any other than loopback needs a token."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 picks a free one.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            envvar="FTSEARCH_TOKEN",
            show_envvar=True,
            help="Token that visitors must enter; prefer the variable, as other users of this machine can read command "
            "lines.",
        ),
    ] = None,
) -> None:
    import socket

    from search.cli._console import console, storage_url
    from search.cli._working import working
    from search.errors import UserError

    url = storage_url(storage)
    with working(console(stderr=True), "loading libraries") as say:
        try:
            from search.dashboard import access, app, serving
        except ImportError as error:
            raise UserError(f"the dashboard needs Dash ({error}): pip install 'ftsearch[dashboard]'") from error
        access.check(host, token or None)
        say("opening the store")
        engine = _awaited(url)
        say("preparing the pages")
        page = app.build(engine, url, host=host, token=token or None, ahead=True)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror}; choose another --port") from error
    server = serving.Server(page.server, listening)
    address = app.address_of(host, listening.getsockname()[1])
    console().print(f"Dashboard: {address} (Ctrl-C ends it)", soft_wrap=True)
    try:
        server.run()
    except KeyboardInterrupt:
        console().print("Dashboard closed.")
    finally:
        server.close()
        engine.dispose()


def _awaited(url: str) -> Engine:
    """Return an engine on the store at ``url``, waiting for one that does not exist yet."""
    import time

    from search.cli._console import console
    from search.errors import NotFoundError
    from search.store import readonly

    announced = False
    while True:
        try:
            return readonly.connect(url)
        except NotFoundError as error:
            if not announced:
                console().print(f"{error}; waiting for it (Ctrl-C ends this)", markup=False, soft_wrap=True)
            announced = True
            time.sleep(_LOOK_S)
