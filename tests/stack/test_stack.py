"""docker-compose.yml as it is, with containers: started, asked, filled, killed, taken down and up again.

The tests build on one another in this order, as one life of the stack; each takes minutes to set up alone.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from ..demo.test_browser import ARGUMENTS, CHROMIUM, ask, opened
from ..docker.reading import compose
from ..servers.rest import Failures
from ..support.backends import Backend, Embedded, Milvus, Postgres, QdrantServer, Vectors, same_vectors
from .engine import Engine, Failed
from .images import image_of
from .services import DATABASES, Services

pytestmark = pytest.mark.stack
PASSWORD = "sesame-of-the-stack"
KILLS = int(os.environ.get("JINA_V3_STACK_KILLS", "7"))
"""In the middle of an ingest, for each of the three databases."""
VICTIMS = ("server", "store", "job", "store")
"""Killed in turns."""
DOCUMENTS = 60
"""New ones in each round, so that there is always something to write."""
JOB_SECONDS = 240.0
WRITTEN = re.compile(r"\((\d+) documents written now\)")
TITLES = {
    "qdrant": "Qdrant at qdrant:6333",
    "milvus": "Milvus at milvus:19530",
    "postgres": "PostgreSQL at postgres:5432",
}


@pytest.fixture(scope="module")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory, shown_table: dict[str, str]) -> Iterator[Services]:
    """The server as `docker compose up` starts it after a clone."""
    services = Services(engine, tmp_path_factory.mktemp("stack"))
    services.down(volumes=True)  # of a run that was stopped
    begin = time.monotonic()
    services.up()
    try:
        services.healthy("server")
        shown_table["seconds to healthy"] = f"{time.monotonic() - begin:.1f}"
        assert search(services, "bees")["hits"]["late"]
        shown_table["seconds to the first answer"] = f"{time.monotonic() - begin:.1f}"
        yield services
    finally:
        services.down(volumes=True)


@pytest.fixture(scope="module")
def databases(stack: Services) -> Services:
    """With every database."""
    stack.secret("PGPASSWORD", PASSWORD)
    stack.up(*DATABASES)
    stack.healthy(*DATABASES)
    stack.compose("restart", "server")  # it reads its secrets when it starts
    stack.healthy("server")
    return stack


def search(stack: Services, question: str, **more: Any) -> Any:
    body = {"store": "Qdrant, embedded", "question": question, "dimensions": 256} | more
    answer = httpx.post(f"{stack.url}/demo/search", json=body, timeout=180)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_nothing_else_is_started_where_nothing_is_set(stack: Services) -> None:
    assert len(stack.containers()) == 1
    assert "jina-embeddings-v3" in httpx.get(stack.url, timeout=30).text
    assert f"The page: {stack.url}/\n" in stack.logs("server")
    stranger = httpx.get(f"{stack.url}/v1/models", headers={"host": "page.example"}, timeout=30)
    assert stranger.status_code == 421


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
def test_the_page_tells_which_databases_are_not_started(stack: Services) -> None:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS).new_page()
        opened(page, stack.url)
        ask(page, "Who built the lighthouse?")
        expect(page.locator("#hits-late li")).to_have_count(5)
        expect(page.locator("#store option")).to_have_text(
            ["Qdrant, embedded", *(f"{title} – not started" for title in TITLES.values())]
        )
        page.locator("#store").select_option(TITLES["qdrant"])
        expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


@pytest.mark.parametrize("database", DATABASES)
def test_the_second_run_of_a_job_writes_nothing(databases: Services, database: str) -> None:
    job = f"ingest-{database}"
    databases.compose("up", "--detach", "--no-build", "--no-deps", job)
    assert databases.engine("wait", databases.container(job), seconds=JOB_SECONDS).split()[-1] == "0"
    databases.engine("start", databases.container(job))
    assert databases.engine("wait", databases.container(job), seconds=JOB_SECONDS).split()[-1] == "0"
    log = " ".join(databases.logs(job).split())
    old = database == "milvus"  # 2.3.5, without BM25
    assert WRITTEN.findall(log) == ["48" if old else "64", "0"], log
    assert ("has no BM25" in log) == old


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt-get install chromium)")
def test_stores_agree_on_the_page(databases: Services) -> None:
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS).new_page()
        opened(page, databases.url)
        expect(page.locator("#store option")).to_have_text(["Qdrant, embedded", *TITLES.values()])
        ask(page, "How do bees talk to each other?")
        shown = page.locator("#hits-late").inner_text()
        for title in TITLES.values():
            with page.expect_response("**/demo/search", timeout=120_000):
                page.locator("#store").select_option(title)
            expect(page.locator("#status")).to_contain_text("searched in")
            assert page.locator("#hits-late").inner_text() == shown


def test_ports_are_open_to_this_machine_alone_and_nothing_runs_as_root(databases: Services) -> None:
    running = ["server", *DATABASES]
    for service in running:
        told = databases.engine.inspect(databases.container(service))
        for bindings in told["NetworkSettings"]["Ports"].values():
            assert {binding["HostIp"] for binding in bindings or []} <= {"127.0.0.1"}
        assert int(told["Config"]["User"].split(":")[0]) > 0
        for number in databases.processes(service):
            status = Path(f"/proc/{number}/status").read_text()
            user, capabilities = re.findall(r"^(?:Uid|CapEff):\t(\w+)", status, re.MULTILINE)
            assert int(user) > 0
            assert int(capabilities, 16) == 0


def test_no_secret_is_shown(databases: Services) -> None:
    for service in ("server", *DATABASES, *(f"ingest-{name}" for name in DATABASES)):
        told = databases.engine.inspect(databases.container(service))
        assert PASSWORD not in json.dumps(told)
        assert PASSWORD not in databases.logs(service)


def test_memory_at_rest(databases: Services, shown_table: dict[str, str]) -> None:
    for service in ("server", *DATABASES):
        shown_table[f"memory at rest, MB: {service}"] = f"{databases.memory(service) / 1e6:,.0f}"
        assert databases.memory(service) > 0


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files; each has the documents of the one before, and new ones."""
    folder = tmp_path_factory.mktemp("documents")
    for number in range(1, 2 * KILLS + 1):
        write_documents(folder / f"{number}.jsonl", number * DOCUMENTS)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def undisturbed(
    databases: Services, documents: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Vectors]:
    """What an embedded store holds after the first files were ingested without a kill."""
    reference = Embedded(tmp_path_factory.mktemp("reference"), Failures())
    held: list[Vectors] = []

    def after(files: int) -> Vectors:
        while len(held) < files:
            fill(databases, reference, documents / f"{len(held) + 1}.jsonl")
            held.append(reference.vectors())
        return held[files - 1]

    return after


@pytest.mark.parametrize("database", DATABASES)
def test_killed_in_the_middle_of_an_ingest(
    databases: Services,
    database: str,
    documents: Path,
    undisturbed: Callable[[int], Vectors],
    tmp_path: Path,
    shown_table: dict[str, str],
) -> None:
    order = random.Random(database)
    kills: Counter[str] = Counter()
    number = 0
    while kills.total() < KILLS:
        number += 1
        assert number <= 2 * KILLS, f"most kills came after the end and show nothing: {kills}"
        victim = VICTIMS[kills.total() % len(VICTIMS)]
        requests = answered(databases)
        job = start_job(databases, database, documents, number)
        while answered(databases) == requests and job.poll() is None:
            time.sleep(0.05)
        time.sleep(order.uniform(0, 0.5))
        kills[victim] += job.poll() is None
        if victim == "job":
            job.kill()
            databases.engine("rm", "--force", "--time=0", f"job-{database}")
        else:
            killed = victim if victim == "server" else database
            databases.kill(killed)
            time.sleep(1)
            databases.started_again(killed)
        job.communicate(timeout=JOB_SECONDS)
    last = start_job(databases, database, documents, number)
    told, _ = last.communicate(timeout=JOB_SECONDS)
    assert last.returncode == 0, told
    vectors = stored(databases, database, tmp_path)
    assert len(vectors) >= DOCUMENTS * number
    assert same_vectors(vectors, undisturbed(number)), "nothing lost, nothing twice, every vector right"
    shown_table[f"kills in the middle of an ingest: {database}"] = str(kills.total())


def test_down_and_up_again_and_the_data_are_there(databases: Services, tmp_path: Path) -> None:
    before = {name: stored(databases, name, tmp_path / "a" / name) for name in DATABASES}
    databases.down()
    assert databases.containers() == []
    databases.up("server", *DATABASES)
    databases.healthy("server", *DATABASES)
    for name in DATABASES:
        assert same_vectors(stored(databases, name, tmp_path / "b" / name), before[name])


def test_down_with_volumes_and_the_data_are_gone(databases: Services) -> None:
    databases.down(volumes=True)
    names = databases.engine("volume", "ls", "--format={{.Name}}").split()
    assert [name for name in names if name.startswith(databases.project)] == []
    databases.up()
    databases.healthy("server")


def test_a_port_in_use_is_told(engine: Engine, tmp_path: Path) -> None:
    services = Services(engine, tmp_path, "jina-v3-taken")
    with socket.create_server(("127.0.0.1", int(services.settings["SERVER_PORT"]))):
        try:
            with pytest.raises(Failed, match="address already in use"):
                services.up()
            assert files_in(services, "state") == []
        finally:
            services.down(volumes=True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"SERVER_HOST": "0.0.0.0"}, "error: --published 0.0.0.0 lets other machines in and no key is set"),
        ({"JINA_V3_MODEL": "/models/none"}, "error: /models/none"),
    ],
    ids=["no key", "no model folder"],
)
def test_a_bad_setting_leaves_a_stopped_server_and_its_line(
    engine: Engine, tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    services = Services(engine, tmp_path, "jina-v3-refused")
    services.settings |= settings
    try:
        services.up()
        assert services.stopped("server") == 1
        log = services.compose("logs", "server")
        assert log.count(told) >= 1
        assert "Traceback" not in log
        assert files_in(services, "state") == []
    finally:
        services.down(volumes=True)


def test_a_store_that_never_becomes_healthy_is_told_by_it_and_by_its_job(engine: Engine, tmp_path: Path) -> None:
    services = Services(engine, tmp_path, "jina-v3-unhealthy")
    (tmp_path / "secrets" / "PGPASSWORD").touch()
    try:
        services.up("server")
        services.healthy("server")
        services.up("postgres")
        assert services.stopped("postgres") == 1
        assert "holds no password" in services.compose("logs", "postgres")
        services.compose("up", "--detach", "--no-build", "--no-deps", "ingest-postgres")
        assert services.stopped("ingest-postgres") == 1
        assert re.search(r"error: .*failed to resolve host 'postgres'", services.compose("logs", "ingest-postgres"))
        assert search(services, "bees")["hits"]["late"], "the others go on"
    finally:
        services.down(volumes=True)


def test_a_job_whose_store_is_not_there_ends_with_a_line(stack: Services) -> None:
    command = compose()["services"]["ingest-qdrant"]["command"]
    assert stack.containers("qdrant") == []
    network = f"--network={stack.project}_default"
    with pytest.raises(Failed, match=r"ended with 1: (.|\n)*error: .*cannot be reached"):
        stack.engine("run", "--rm", "--init", network, image_of("server"), *command)


def write_documents(file: Path, count: int) -> None:
    """Some with several chunks."""
    words = random.Random(0)
    with file.open("w") as lines:
        for number in range(count):
            sentences = [f"Fact {words.randrange(10**6)} of document {number} is about {word}." for word in WORDS]
            lines.write(json.dumps({"id": f"d{number}", "text": " ".join(sentences * words.randint(1, 3))}) + "\n")


WORDS = ("bees", "towers", "the sea", "maps")


def answered(stack: Services) -> int:
    """How many lines of requests for vectors the server has written."""
    return stack.logs("server").count("POST /v1/embeddings")


def files_in(stack: Services, volume: str) -> list[str]:
    """Everything in a volume of the stack."""
    folder = stack.engine("volume", "inspect", "--format={{.Mountpoint}}", f"{stack.project}_{volume}").strip()
    return [str(path) for path in Path(folder).rglob("*")]


def store_url(stack: Services, database: str) -> str:
    """As containers name it."""
    (option,) = (part for part in compose()["services"][f"ingest-{database}"]["command"] if part.startswith("--store="))
    return str(option).removeprefix("--store=")


def start_job(stack: Services, database: str, documents: Path, number: int) -> subprocess.Popen[str]:
    """`jina-v3 ingest` in a container that has what the job's has."""
    service = compose()["services"][f"ingest-{database}"]
    options = [
        f"--name=job-{database}",
        f"--network={stack.project}_default",
        f"--user={service['user']}",
        f"--volume={stack.project}_state:/state",
        f"--volume={stack.folder / 'secrets'}:/run/secrets:ro",
        f"--volume={documents}:/documents:ro",
        "--env=JINA_V3_SECRETS=/run/secrets",
    ]
    ingest = ["ingest", f"/documents/{number}.jsonl", "--to", store_url(stack, database), "--collection=docs"]
    settings = ["--encoder=http://server:8080", "--dimensions=64", "--chunk-tokens=64"]
    return subprocess.Popen(
        [
            "podman",
            "run",
            "--rm",
            "--init",
            "--read-only",
            "--tmpfs=/tmp",
            *options,
            service["image"],
            *ingest,
            *settings,
        ],
        env=stack.engine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def fill(stack: Services, reference: Embedded, file: Path) -> None:
    """The same documents in an embedded store, without a kill."""
    from click.testing import CliRunner

    from jina_v3_connectors.cli import main

    settings = [f"--encoder={stack.url}", "--dimensions=64", "--chunk-tokens=64", "--collection=docs"]
    result = CliRunner().invoke(
        main, ["ingest", str(file), "--to", reference.url, *settings], env=reference.environment
    )
    assert result.exit_code == 0, result.output


def stored(stack: Services, database: str, folder: Path) -> Vectors:
    """All vectors of the collection, read through the published port."""
    port = stack.settings[f"{database.upper()}_PORT"]
    backend: Backend
    if database == "qdrant":
        from qdrant_client import QdrantClient

        backend = QdrantServer(folder, Failures(), QdrantClient(url=f"http://127.0.0.1:{port}", timeout=60))
    elif database == "milvus":
        from pymilvus import MilvusClient

        backend = Milvus(
            folder, Failures(), MilvusClient(f"http://127.0.0.1:{port}"), f"milvus+http://127.0.0.1:{port}"
        )
    else:
        backend = Postgres(folder, Failures(), f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres")
    return backend.vectors()
