from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from search.errors import SchemaError, StoreUrlError, UserError
from search.records.study import TrialState
from search.sampling import optuna_storage
from search.sampling.optuna_study import SamplerOptions, Sampling
from search.store import connection


def insist(call: Any, _: str) -> Any:
    return call()


def persistent(call: Any, name: str) -> Any:
    return connection.insist(call, name, connection.Patience(20.0))


def run(sampling: Sampling) -> None:
    asked = sampling.ask(0)
    asked.suggest.integer("depth", 0, 3)
    sampling.tell(sampling.open(asked), TrialState.COMPLETE, 0.5, None)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Address of a `ftsearch serve-storage` in a process of its own."""
    pytest.importorskip("grpc")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "search", "serve-storage", "--storage", f"sqlite:///{tmp_path}/s.db"]
    server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert f"grpc://127.0.0.1:{port}" in server.stdout.readline()
    yield f"grpc://127.0.0.1:{port}"
    server.terminate()
    server.communicate(timeout=30)


def test_a_study_is_sampled_through_the_proxy_as_it_is_directly(address: str, tmp_path: Path) -> None:
    storage = optuna_storage.open_proxy(address, insist, timeout_s=60)
    sampling = Sampling(storage, "s", maximize=True, options=SamplerOptions(), seed=0)
    run(sampling)
    other = Sampling(
        optuna_storage.open_proxy(address, persistent), "s", maximize=True, options=SamplerOptions(), seed=0
    )
    other.tell(0, TrialState.FAILED, None, None)  # reported already: the proxy's answer does no harm
    other.close()
    sampling.close()
    url = f"sqlite:///{tmp_path}/s.db"
    direct = optuna_storage.open_storage(url, connection.optuna_options(url), connection.tune)
    (trial,) = direct.get_all_trials(direct.get_study_id_from_name("s"))
    assert trial.value == 0.5
    direct.engine.dispose()  # type: ignore[attr-defined]


def test_calls_are_repeated_by_whoever_insists(tmp_path: Path) -> None:
    names: list[str] = []

    def counted(call: Any, name: str) -> Any:
        names.append(name)
        return call()

    url = f"sqlite:///{tmp_path}/s.db"
    engine = connection.connect(url)

    def prepare(other: Any) -> None:
        connection.tune(other)
        connection.share(engine, other)

    storage = optuna_storage.open_storage(url, connection.optuna_options(url), prepare, counted)
    sampling = Sampling(storage, "s", maximize=True, options=SamplerOptions(), seed=0)
    run(sampling)
    sampling.close()
    assert {"Optuna's create_new_trial", "Optuna's set_trial_state_values"} <= set(names)
    engine.dispose()


def test_nobody_at_the_address_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("grpc")
    with pytest.raises(StoreUrlError, match=r"nothing answers at grpc://127\.0\.0\.1:1 within 0.2 s"):
        optuna_storage.open_proxy("grpc://127.0.0.1:1", insist, timeout_s=0.2)


@pytest.mark.parametrize("address", ["host:13000", "grpc://host", "grpc://:1", "grpc://host:port", "grpc://h:70000"])
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(UserError, match=r"expected grpc://HOST:PORT"):
        optuna_storage.parse_address(address)


@pytest.mark.parametrize("version", ["v99.0.0.a", "x", ""])
def test_tables_of_another_version_are_one_line(tmp_path: Path, version: str) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    optuna_storage.release(optuna_storage.open_storage(url, {}, connection.tune))
    engine = connection.connect(url)
    with engine.begin() as link:
        link.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))
    engine.dispose()
    with pytest.raises(SchemaError, match=r"^Optuna [0-9.]+ cannot read its tables in the store \(\w+: [^\n]*by hand"):
        optuna_storage.open_storage(url, {}, connection.tune)
