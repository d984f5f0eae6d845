"""Watch studies in the browser while they run."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import StorageOption

SECTION, ORDER = "Review", 5


def command(
    storage: StorageOption = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            envvar="FTSEARCH_TOKEN",
            show_envvar=True,
            help="What visitors have to know; others on this machine can read a command line.",
        ),
    ] = None,
) -> None:
    from search.cli._console import console, storage_url
    from search.errors import UserError
    from search.store import readonly

    try:
        from waitress.server import create_server

        from search.dashboard import access, app
    except ImportError as error:
        raise UserError(f"the dashboard needs Dash ({error}): pip install 'ftsearch[dashboard]'") from error
    access.check(host, token or None)
    engine = readonly.connect(storage_url(storage))
    page = app.build(engine, host=host, token=token or None)
    try:
        server = create_server(page.server, host=host, port=port, threads=6, ident=None)
    except OSError as error:
        raise UserError(f"cannot listen on {host} port {port}: {error.strerror}; choose another --port") from error
    listening = getattr(server, "effective_port", port)
    console().print(f"Dashboard: {app.address_of(host, int(listening))} (Ctrl-C ends it)", soft_wrap=True)
    try:
        server.run()
    except KeyboardInterrupt:
        console().print("Dashboard closed.")
    finally:
        server.close()
        engine.dispose()
