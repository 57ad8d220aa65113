"""docker-compose.yml against the specification's schema, and what it promises."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import click
import jsonschema
import pytest
import yaml

from jina_v3_connectors.cli import main
from jina_v3_connectors.cli.options import DEVICE_VARIABLE
from jina_v3_connectors.cli.secrets import FOLDER_VARIABLE
from jina_v3_connectors.cli.secrets import NAMES as SECRET_NAMES
from jina_v3_encoder.testing import FakeEncoder
from tests.support.running import running

from .reading import ROOT, VARIABLE, compose, compose_text, copies, dockerfile, example_settings, gpu_text, interpolated

DATABASES = ("qdrant", "milvus", "postgres")
JOBS = [f"ingest-{name}" for name in DATABASES]
SERVICES: dict[str, Any] = compose()["services"]
RUNNING = ["server", *DATABASES]
OWN = ["server", *JOBS]
SCHEMA: dict[str, Any] = json.loads(
    files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
)


def test_the_file_follows_the_compose_specification() -> None:
    jsonschema.validate(compose(), SCHEMA)


@pytest.mark.parametrize(
    ("service", "change"),
    [("server", {"port": ["8080:8080"]}), ("qdrant", {"healthcheck": {"test": 5}}), ("milvus", {"depends_on": 3})],
)
def test_the_schema_would_notice(service: str, change: dict[str, Any]) -> None:
    broken = compose()
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
    assert SERVICES[name]["restart"] == "on-failure:5", "a refusal is not repeated forever, and its line stays the last"


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
    declared = set(compose()["volumes"])
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used - {"./secrets"} == declared


def test_configs_are_declared_and_used() -> None:
    declared = set(compose()["configs"])
    used = {config["source"] for service in SERVICES.values() for config in service.get("configs", [])}
    assert used == declared


@pytest.mark.parametrize("database", DATABASES)
def test_a_profile_brings_a_database_and_a_job_that_waits_for_it(database: str) -> None:
    assert SERVICES[database]["profiles"] == [database]
    job = SERVICES[f"ingest-{database}"]
    assert job["profiles"] == [database]
    assert {name: wait["condition"] for name, wait in job["depends_on"].items()} == dict.fromkeys(
        ("server", database), "service_healthy"
    )
    assert "JINA_V3_MODEL" not in job["environment"], "the server has the model, and a job may not name another"
    (store,) = (argument for argument in job["command"] if argument.startswith("--store="))
    assert store in SERVICES["server"]["command"], "the page shows what the job has filled"


def test_without_a_profile_there_is_the_server_with_its_embedded_store_alone() -> None:
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["server"]
    assert "depends_on" not in SERVICES["server"]
    stores = [argument for argument in SERVICES["server"]["command"] if argument.startswith("--store=")]
    assert stores[0] == "--store=/state/page"


def test_nothing_need_be_set() -> None:
    """Not even the empty values of an .env."""
    assert yaml.safe_load(interpolated(compose_text(), {})) == compose()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_server_is_told_where_it_is_published(host: str) -> None:
    service = compose(SERVER_HOST=host, SERVER_PORT="9000")["services"]["server"]
    assert service["ports"] == [f"{host}:9000:8080"]
    assert f"--published={host}:9000" in service["command"]
    assert "--insecure" not in service["command"]


def test_the_second_file_asks_for_the_gpu() -> None:
    both = [yaml.safe_load(interpolated(text, {})) for text in (compose_text(), gpu_text())]
    jsonschema.validate(both[1], SCHEMA)
    service = both[1]["services"]["server"]
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    assert service["environment"] == {DEVICE_VARIABLE: "cuda"}
    assert set(service["build"]["args"]) == set(both[0]["services"]["server"]["build"]["args"])
    assert service["image"] != both[0]["services"]["server"]["image"]


@pytest.mark.parametrize("name", OWN)
def test_commands_are_ones_that_the_command_line_takes(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    subcommand = main.get_command(click.Context(main), command)
    assert subcommand is not None
    assert subcommand.make_context(command, list(arguments)).params


@pytest.mark.parametrize("name", OWN)
def test_hosts_in_commands_are_services(name: str) -> None:
    hosts = set(re.findall(r"://(?:\w+@)?([\w-]+):(\d+)", " ".join(SERVICES[name]["command"])))
    ports = {"qdrant": "6333", "milvus": "19530", "postgres": "5432", "server": "8080"}
    assert hosts
    assert all(ports[host] == port for host, port in hosts)


def test_the_example_names_every_setting_and_no_other() -> None:
    used = {match["name"] for match in VARIABLE.finditer(compose_text()) if match["name"]}
    assert set(example_settings()) - {"COMPOSE_PROFILES"} == used


def test_secrets_are_files_that_git_does_not_take() -> None:
    """In a variable they would stand in what the engine tells of a container."""
    variables = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert variables.isdisjoint(SECRET_NAMES)
    for name in OWN:
        assert "./secrets:/run/secrets:ro" in SERVICES[name]["volumes"]
        assert SERVICES[name]["environment"][FOLDER_VARIABLE] == "/run/secrets"
    assert SERVICES["postgres"]["environment"] == {"POSTGRES_PASSWORD_FILE": "/run/secrets/PGPASSWORD"}
    assert compose()["secrets"]["PGPASSWORD"]["file"] == "./secrets/PGPASSWORD"
    assert (ROOT / "secrets" / ".gitignore").read_text().split() == ["*", "!.gitignore", "!README.md"]
    readme = (ROOT / "secrets" / "README.md").read_text()
    assert set(re.findall(r"secrets/(\w+)", readme)) == set(SECRET_NAMES)


def test_defaults_equal_the_example() -> None:
    assert compose(**dict.fromkeys(set(example_settings()) - {"TORCH"}, "")) == compose()


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
    assert len(instructions) < 30
    bases = [instruction.rest.split()[0] for instruction in instructions if instruction.name == "FROM"]
    assert len(bases) == 2, "what builds is left behind"
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    (user,) = (instruction.rest for instruction in instructions if instruction.name == "USER")
    assert user == SERVICES["server"]["user"]
    names = [instruction.name for instruction in instructions]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_image_gets_what_it_copies_and_nothing_else() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    wanted = {source for sources, _ in copies() for source in sources}
    assert {line[1:] for line in ignored if line.startswith("!")} == wanted
    assert all((ROOT / source).exists() for source in wanted)
