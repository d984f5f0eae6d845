"""Serve Optuna's tables of the store to many workers over gRPC, without authentication or encryption.

Anyone who can reach the port can read and change all studies: keep it on loopback or in a private network.
"""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import StorageOption

SECTION, ORDER = "Search", 7


def command(
    storage: StorageOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all, in a private network only.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 13000,
    threads: Annotated[int, typer.Option(min=1, help="Number of calls answered in parallel.")] = 10,
) -> None:
    from search.cli._console import console, log_to, storage_url
    from search.sampling import optuna_storage
    from search.store import connection, urls
    from search.store.opening import opened

    log_to()
    url = urls.str_url(storage_url(storage))
    with opened(url):
        pass  # migrate our schema before Optuna creates its tables
    screen = console()
    screen.print(f"serving {connection.shown(url)} at grpc://{host}:{port}", soft_wrap=True)
    if host not in ("127.0.0.1", "localhost", "::1"):
        screen.print("it has no login and no encryption: let only workers reach this port", style="yellow")
    optuna_storage.serve(
        url, connection.server_options(url, threads), connection.tune, host=host, port=port, threads=threads
    )
