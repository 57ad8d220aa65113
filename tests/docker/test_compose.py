"""docker-compose.yml against the specification's schema, and what it promises."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.serve import KEYS_VARIABLE
from jina_v3_encoder.testing import FakeEncoder
from tests.support.running import running

from .reading import VARIABLE, compose, compose_text, copies, dockerfile, example_settings

KEYS = {"JINA_V3_SERVER_KEYS": "one,two", "JINA_V3_API_KEY": "one", "POSTGRES_PASSWORD": "two"}
SERVICES: dict[str, Any] = compose(**KEYS)["services"]
RUNNING = [name for name in SERVICES if name not in ("milvus-volume", "ingest")]
OWN = ["server", "server-gpu", "ingest"]
SCHEMA: dict[str, Any] = json.loads(
    files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
)


def test_the_file_follows_the_compose_specification() -> None:
    jsonschema.validate(compose(**KEYS), SCHEMA)


@pytest.mark.parametrize(
    ("service", "change"),
    [("server", {"port": ["8080:8080"]}), ("qdrant", {"healthcheck": {"test": 5}}), ("milvus", {"depends_on": 3})],
)
def test_the_schema_would_notice(service: str, change: dict[str, Any]) -> None:
    broken = compose(**KEYS)
    broken["services"][service].update(change)
    told = rf"Unevaluated properties are not allowed .*{next(iter(change))}"
    with pytest.raises(jsonschema.ValidationError, match=told):
        jsonschema.validate(broken, SCHEMA)


@pytest.mark.parametrize("name", list(SERVICES))
def test_images_are_pinned(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+(-\w+)?$", SERVICES[name]["image"])


def test_own_images_carry_this_version() -> None:
    assert {SERVICES[name]["image"].split(":")[1].split("-")[0] for name in OWN} == {version("jina-v3-connectors")}


@pytest.mark.parametrize("name", list(SERVICES))
def test_every_service_is_limited_and_confined(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits)
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["logging"]["options"]["max-size"]
    assert "privileged" not in service


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "milvus-volume"])
def test_nothing_that_stays_runs_as_root(name: str) -> None:
    assert int(SERVICES[name]["user"].split(":")[0]) > 0


def test_the_one_that_is_root_does_one_thing_and_has_no_network() -> None:
    service = SERVICES["milvus-volume"]
    assert service["entrypoint"][0] == "chown"
    assert service["entrypoint"][1] == SERVICES["milvus"]["user"]
    assert (service["network_mode"], service["restart"], service["cap_add"]) == ("none", "no", ["CHOWN"])


@pytest.mark.parametrize("name", RUNNING)
def test_whatever_runs_has_a_health_check_and_comes_back(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= set(check)
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_health_checks_ask_for_nothing_that_older_builders_lack() -> None:
    """--start-interval stops the image's build on podman 4 and on Docker before 25."""
    assert "start_interval" not in compose_text()
    (check,) = (instruction.rest for instruction in dockerfile() if instruction.name == "HEALTHCHECK")
    assert set(re.findall(r"--([\w-]+)=", check)) == {"interval", "timeout", "start-period"}


@pytest.mark.parametrize("name", list(SERVICES))
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_volumes_are_declared_and_used() -> None:
    declared = set(compose(**KEYS)["volumes"])
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == declared


def test_configs_are_declared_and_used() -> None:
    declared = set(compose(**KEYS)["configs"])
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == declared


def test_the_job_waits_until_all_are_healthy() -> None:
    waits = SERVICES["ingest"]["depends_on"]
    assert set(waits) == {"server", "server-gpu", "qdrant", "milvus", "postgres"}
    assert {wait["condition"] for wait in waits.values()} == {"service_healthy"}
    for name in ("server", "server-gpu"):
        assert waits[name]["required"] is False, "one of the two is there"


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_each_profile_has_one_server_under_one_name(profile: str) -> None:
    servers = [name for name in ("server", "server-gpu") if profile in SERVICES[name]["profiles"]]
    assert len(servers) == 1
    assert SERVICES[servers[0]]["networks"]["default"]["aliases"] == ["encoder"]
    assert profile in SERVICES["ingest"]["profiles"]


def test_the_gpu_is_asked_for() -> None:
    (device,) = SERVICES["server-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert "--device=cuda" in SERVICES["server-gpu"]["command"]


@pytest.mark.parametrize("name", OWN)
def test_commands_are_ones_that_the_command_line_takes(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    subcommand = main.get_command(click.Context(main), command)
    assert subcommand is not None
    assert subcommand.make_context(command, list(arguments)).params


@pytest.mark.parametrize("name", OWN)
def test_hosts_in_commands_are_services(name: str) -> None:
    hosts = set(re.findall(r"://(?:\w+@)?([\w-]+):(\d+)", " ".join(SERVICES[name]["command"])))
    ports = {"qdrant": "6333", "milvus": "19530", "postgres": "5432", "encoder": "8080"}
    assert hosts
    assert all(ports[host] == port for host, port in hosts)


@pytest.mark.parametrize("missing", ["JINA_V3_SERVER_KEYS", "JINA_V3_API_KEY", "POSTGRES_PASSWORD"])
def test_without_a_key_nothing_starts(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        compose(**{**KEYS, missing: ""})


def test_the_example_names_every_setting_and_no_other() -> None:
    used = {match["name"] for match in VARIABLE.finditer(compose_text()) if match["name"]}
    assert set(example_settings()) - {"COMPOSE_PROFILES"} == used
    assert KEYS_VARIABLE in used


def test_the_example_holds_no_secret_and_the_real_one_stays_out_of_git() -> None:
    assert {example_settings()[name] for name in KEYS} == {""}
    assert ".env" in (Path(__file__).parents[2] / ".gitignore").read_text().split()


def test_defaults_equal_the_example() -> None:
    empty = dict.fromkeys(example_settings(), "")
    assert compose(**{**empty, **KEYS}) == compose(**KEYS)


@pytest.mark.parametrize("source", ["compose", "Dockerfile"])
def test_the_health_check_tells_a_live_server_from_a_dead_one(source: str) -> None:
    if source == "compose":
        command = SERVICES["server"]["healthcheck"]["test"][1:]
    else:
        (check,) = (instruction.rest for instruction in dockerfile() if instruction.name == "HEALTHCHECK")
        command = json.loads(check.split("CMD", 1)[1])
    assert "127.0.0.1:8080" in command[-1]
    with running(FakeEncoder()) as url:
        asked = [part.replace("http://127.0.0.1:8080", url) for part in command]
        assert subprocess.run(asked, capture_output=True, timeout=30).returncode == 0
    assert subprocess.run(asked, capture_output=True, timeout=30).returncode != 0


@pytest.mark.parametrize(("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1)])
def test_the_health_check_of_qdrant(status: str, code: int) -> None:
    """Its few lines of bash, against a server that answers as Qdrant does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1000).startswith(b"GET /readyz")
                connection.sendall(f"HTTP/1.0 {status}\r\ncontent-length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        check = SERVICES["qdrant"]["healthcheck"]["test"][1:]
        command = [part.replace("/6333", f"/{server.getsockname()[1]}") for part in check]
        assert subprocess.run(command, capture_output=True, timeout=30).returncode == code
        thread.join(timeout=10)


def test_the_dockerfile_is_short_pinned_and_not_root() -> None:
    instructions = dockerfile()
    assert len(instructions) < 20
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", instructions[0].rest)
    (user,) = (instruction.rest for instruction in instructions if instruction.name == "USER")
    added = next(
        instruction.rest for instruction in instructions if instruction.name == "RUN" and "useradd" in instruction.rest
    )
    assert f"--uid {SERVICES['server']['user'].split(':')[0]} {user}" in added
    assert [instruction.name for instruction in instructions].index("USER") < [
        instruction.name for instruction in instructions
    ].index("ENTRYPOINT")


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    root = Path(__file__).parents[2]
    ignored = (root / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    wanted = {source for sources, _ in copies() for source in sources}
    assert {line[1:] for line in ignored if line.startswith("!")} == wanted
    assert all((root / source).exists() for source in wanted)
