"""Optuna's storage: its tables in the store's database, or a gRPC proxy in front of them.

Every call is retried while the database or the proxy is unreachable, like the store's own calls.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, GrpcStorageProxy, RDBStorage, get_storage

from search.errors import DatabaseError, SchemaError, StoreUrlError, UserError

Insist = Callable[[Callable[[], Any], str], Any]
"""Returns the result of a call that is retried while the database is unreachable; the second argument names it."""
_SCHEME = "grpc://"


class Insisting(BaseStorage):
    """An Optuna storage whose calls are retried while the database is unreachable.

    Safe, because Optuna's writes set what they are given; a trial that was opened twice, since the first answer
    was lost, is closed by ``Sampling.close_orphans``.
    """

    def __init__(self, inner: BaseStorage, insist: Insist) -> None:
        self._inner = inner
        self._insist = insist

    def close(self) -> None:
        """Give connections back: a proxy's channel is closed, the database's pool belongs to the store."""
        self._inner.remove_session()
        if isinstance(self._inner, GrpcStorageProxy):
            self._inner.close()


def release(storage: BaseStorage) -> None:
    """Give the connections of ``storage`` back."""
    if isinstance(storage, Insisting | GrpcStorageProxy):
        storage.close()
    else:
        storage.remove_session()
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()


def _repeated(name: str) -> Callable[..., Any]:
    def call(self: Insisting, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._insist(lambda: getattr(self._inner, name)(*args, **kwargs), f"Optuna's {name}")
        except KeyError:  # Optuna's answer where there is no such study or trial
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise DatabaseError(
                f"Optuna's tables hold something that cannot be read ({type(error).__name__}: {error}): a row was "
                "changed by hand, or by another version"
            ) from error

    return call


for _name, _ in inspect.getmembers(BaseStorage, inspect.isfunction):
    if not _name.startswith("_"):
        setattr(Insisting, _name, _repeated(_name))
Insisting.__abstractmethods__ = frozenset()


def _insisting(inner: BaseStorage, insist: Insist) -> BaseStorage:
    make: Callable[[BaseStorage, Insist], BaseStorage] = Insisting  # its methods come from the loop above
    return make(inner, insist)


def open_storage(
    url: str, engine_kwargs: Mapping[str, Any], tune: Callable[[Any], None], insist: Insist | None = None
) -> BaseStorage:
    """Return Optuna's storage in the database at ``url``, creating its tables if they are missing.

    Args:
        tune: given the SQLAlchemy engine once it is set up (connections, locking and journal modes are the
            store's business).
        insist: retries calls; None: each is tried once.

    Raises:
        SchemaError: the tables are of another version of Optuna, or were changed by hand.
    """
    try:
        storage = RDBStorage(url, engine_kwargs=dict(engine_kwargs))
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), "")
        raise SchemaError(
            f"Optuna {optuna.__version__} cannot read its tables in the store ({type(error).__name__}: {reason}): they "
            "were changed by hand, or by another version"
        ) from error
    tune(storage.engine)
    return _insisting(get_storage(storage), insist) if insist is not None else storage


def open_proxy(address: str, insist: Insist, *, timeout_s: float = 30.0) -> BaseStorage:
    """Return the storage behind the gRPC proxy at ``grpc://HOST:PORT`` (``ftsearch serve-storage``).

    Raises:
        UserError: the address is malformed.
        StoreUrlError: nothing answers at the address.
    """
    host, port = parse_address(address)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            proxy = GrpcStorageProxy(host=host, port=port)
        proxy.wait_server_ready(timeout=timeout_s)
    except ImportError as error:
        raise UserError(f"--optuna {address}: {error}; install ftsearch[grpc]") from error
    except ConnectionError as error:
        raise StoreUrlError(
            f"nothing answers at {address} within {timeout_s:g} s; is `ftsearch serve-storage` running there?"
        ) from error
    return _insisting(proxy, insist)


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of ``grpc://HOST:PORT``.

    Raises:
        UserError: it is something else.
    """
    host, colon, port = address.removeprefix(_SCHEME).rstrip("/").rpartition(":")
    if not address.startswith(_SCHEME) or not colon or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"--optuna: expected grpc://HOST:PORT, got {address!r}")
    return host, int(port)


def serve(
    url: str, engine_kwargs: Mapping[str, Any], tune: Callable[[Any], None], *, host: str, port: int, threads: int
) -> None:
    """Serve Optuna's storage in the database at ``url`` to ``GrpcStorageProxy`` clients, until interrupted.

    It has neither a login nor encryption: anyone who can reach the port can read and change the studies.

    Raises:
        UserError: gRPC is not installed, or the port is taken.
    """
    storage = get_storage(open_storage(url, engine_kwargs, tune))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            optuna.storages.run_grpc_proxy_server(
                storage, host=host, port=port, thread_pool=ThreadPoolExecutor(threads, thread_name_prefix="proxy")
            )
    except ImportError as error:
        raise UserError(f"{error}; install ftsearch[grpc]") from error
    except RuntimeError as error:
        raise UserError(f"cannot listen on {host}:{port}: {error}; choose another --port") from error
