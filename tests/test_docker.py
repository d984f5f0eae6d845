"""What can be known of the containers without starting one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from search import cli

DOCKER = Path(__file__).parents[1] / "docker"
NAMES = {"STUDY": "flowers", "STUDY_FILE": "/data/flowers.yaml", "DASHBOARD_TOKEN": "t"}


def compose() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return data


def job() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DOCKER / "kubernetes-job.yaml").read_text())
    return data


def entered(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the image's entry point beside a ``ftsearch`` that says what it is given."""
    program = tmp_path / "ftsearch"
    program.write_text('#!/bin/sh\necho "$FTSEARCH_STORAGE" "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    command = [str(DOCKER / "entrypoint.sh"), *arguments]
    return subprocess.run(command, env={"PATH": path} | environment, capture_output=True, text=True, check=False)


def test_the_entry_point_puts_the_stores_url_together_from_a_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("p@ss/w:rd%\n")
    secret = {"FTSEARCH_DATABASE_HOST": "database", "FTSEARCH_DATABASE_PASSWORD_FILE": str(tmp_path / "secret")}
    done = entered(tmp_path, "worker", "flowers", **secret)
    assert done.stdout == "postgresql://ftsearch:p%40ss%2Fw%3Ard%25@database:5432/ftsearch worker flowers\n", (
        done.stderr
    )
    from search.store.urls import parse_url

    assert parse_url(done.stdout.split()[0]).password == "p@ss/w:rd%"
    assert entered(tmp_path, "status", FTSEARCH_STORAGE="sqlite:///x.db").stdout == "sqlite:///x.db status\n"


def test_the_entry_point_wants_the_secret(tmp_path: Path) -> None:
    done = entered(tmp_path, "worker", "flowers", FTSEARCH_DATABASE_HOST="database")
    assert done.returncode != 0
    assert "say where the secret is mounted" in done.stderr


def commands() -> list[list[str]]:
    services = compose()["services"]
    found = [service["command"] for service in services.values() if "command" in service]
    return [*found, job()["spec"]["template"]["spec"]["containers"][0]["args"]]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command[0])
def test_what_containers_run_is_a_command_of_ours(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command[0], "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in command if word.startswith("--"))


def test_no_password_is_in_the_files() -> None:
    services = compose()["services"]
    assert compose()["secrets"] == {"database-password": {"file": "./database-password"}}
    assert services["database"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/database-password"
    for path in DOCKER.iterdir():
        assert not re.search(r"password\s*[:=]\s*[\"']?[A-Za-z0-9]{6,}[\"']?\s*$", path.read_text(), re.M | re.I), path
    assert "docker/database-password" in (DOCKER.parent / ".gitignore").read_text()


def test_services_keep_their_data_in_named_volumes_and_workers_can_be_multiplied() -> None:
    data = compose()
    assert set(data["volumes"]) == {"database", "runs", "cache"}
    assert not {"container_name", "ports"} & set(data["services"]["worker"])
    assert all(port.startswith("127.0.0.1:") for port in data["services"]["dashboard"]["ports"])


def test_the_image_has_no_root_and_looks_after_its_health() -> None:
    lines = (DOCKER / "Dockerfile").read_text()
    assert re.search(r"^ARG BASE=.*\nFROM \$\{BASE\}", lines, re.M)
    assert re.search(r"^USER ftsearch$", lines, re.M)
    assert re.search(r"^HEALTHCHECK ", lines, re.M)
    copied = {word for line in re.findall(r"^COPY (?!--chmod)(.*)", lines, re.M) for word in line.split()[:-1]}
    assert all((DOCKER.parent / name).exists() for name in copied)
    ignored = (DOCKER.parent / ".dockerignore").read_text()
    assert all(f"!{name}" in ignored for name in (*copied, "docker/entrypoint.sh"))


def test_the_job_is_a_job_that_starts_evicted_workers_again() -> None:
    data = job()
    pod = data["spec"]["template"]["spec"]
    assert (data["apiVersion"], data["kind"], pod["restartPolicy"]) == ("batch/v1", "Job", "OnFailure")
    assert pod["securityContext"]["runAsNonRoot"]
    mounted = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_compose_accepts_its_file(tmp_path: Path) -> None:
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], check=False).returncode:
        pytest.skip("docker compose is not installed")
    command = ["docker", "compose", "-f", str(DOCKER / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, env=os.environ | NAMES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
