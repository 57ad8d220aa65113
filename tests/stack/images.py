"""The images of the stack, each made here: no registry of images is asked.

The base is a Debian with its Python under the name of the official image. Ours is built from the Dockerfile. Milvus and
PostgreSQL are programs that PyPI packages carry; Qdrant's place is taken by the tests' REST stand-in.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..docker.reading import ROOT, compose, dockerfile
from ..servers import milvus_standalone
from ..servers.postgres import PROGRAMS as POSTGRES
from .engine import Engine

BASE = f"docker.io/library/{next(line.rest for line in dockerfile() if line.name == 'FROM').split()[0]}"
PACKAGES = "python3,python3-pip,python3-venv,ca-certificates"
BASE_FILE = """
FROM base:made
RUN ln -s python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
"""
QDRANT_FILE = """
FROM {own}
COPY tests /stand-in/tests
USER 0
RUN install -d -o 1000 -g 1000 /qdrant/storage /qdrant/snapshots
USER 1000
ENV PYTHONPATH=/stand-in
ENTRYPOINT ["python", "-m", "tests.servers.qdrant", "/qdrant/storage"]
CMD []
"""
CURL = """#!/usr/bin/python3
import sys, urllib.request
urllib.request.urlopen(sys.argv[-1], timeout=5)
"""
MILVUS_FILE = """
FROM {base}
COPY milvus /milvus
COPY curl /usr/local/bin/curl
RUN useradd --no-create-home --uid 999 milvus && install -d /var/lib/milvus && chmod 755 /usr/local/bin/curl
ENV PATH=/milvus/bin:$PATH LD_LIBRARY_PATH=/milvus/bin MILVUS_RUN_DIR=/var/lib/milvus/run
WORKDIR /milvus
CMD ["milvus", "run", "standalone"]
"""
POSTGRES_FILE = """
FROM {base}
COPY pg /pg
COPY start /usr/local/bin/start
RUN useradd --no-create-home --uid 999 postgres && chmod 755 /usr/local/bin/start && \\
  install -d -m 700 -o postgres -g postgres /var/lib/postgresql/data
ENV PATH=/pg/{package}/{programs}:$PATH
ENTRYPOINT ["start"]
"""
POSTGRES_START = """#!/bin/sh
# As the official image: the first start prepares the data, with the password of a file.
set -eu
data=/var/lib/postgresql/data
if [ ! -s "$data/PG_VERSION" ]; then
  [ -n "$(cat "$POSTGRES_PASSWORD_FILE")" ] || { echo "$POSTGRES_PASSWORD_FILE holds no password" >&2; exit 1; }
  initdb --pgdata="$data" --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" \\
    --auth=scram-sha-256 --encoding=UTF8 --no-locale
  echo "host all all all scram-sha-256" >> "$data/pg_hba.conf"
fi
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
"""


def image_of(service: str) -> str:
    """The name that docker-compose.yml has for it, in full."""
    name = str(compose()["services"][service]["image"])
    return f"docker.io/{name}" if "/" in name else f"localhost/{name}"


def make_all(engine: Engine) -> None:
    """What is not there yet; our own image anew, which podman's cache makes quick where nothing changed."""
    if not engine.has_image(BASE):
        make_base(engine)
    with tempfile.TemporaryDirectory() as folder:
        build(engine, ROOT, image_of("server"), "--build-arg=TORCH=", *pip_settings(Path(folder)))
    make_qdrant(engine)
    if not engine.has_image(image_of("milvus")):
        make_milvus(engine)
    if not engine.has_image(image_of("postgres")):
        make_postgres(engine)


def build(engine: Engine, folder: Path, name: str, *options: str) -> None:
    engine("build", "--pull=never", "--network=host", f"--tag={name}", *options, folder, seconds=1200)


def make_base(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "base.tar"
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")]
        engine.run(
            ["mmdebstrap", "--variant=minbase", *left_out, f"--include={PACKAGES}", "bookworm", archive], seconds=600
        )
        engine("import", archive, "base:made")
        (Path(folder) / "Containerfile").write_text(BASE_FILE)
        archive.unlink()
        build(engine, Path(folder), BASE)


def make_qdrant(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        servers = context / "tests" / "servers"
        servers.mkdir(parents=True)
        for name in ("__init__.py", "qdrant.py", "rest.py"):
            shutil.copy(ROOT / "tests" / "servers" / name, servers)
        (context / "tests" / "__init__.py").touch()
        (context / "Containerfile").write_text(QDRANT_FILE.format(own=image_of("server")))
        build(engine, context, image_of("qdrant"))


def make_milvus(engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        inside = context / "milvus"
        config = milvus_standalone.package().MilvusServerConfig(data_dir=str(inside))
        config.resolve()
        settings = inside / "configs" / "milvus.yaml"
        settings.write_text(settings.read_text().replace(str(inside), "/var/lib/milvus"))
        etcd = compose()["configs"]["milvus-etcd"]["content"]
        (inside / "configs" / "embedEtcd.yaml").write_text(etcd)  # podman-compose knows no configs
        shutil.copytree(milvus_standalone.PROGRAM.parent, inside / "bin")
        (context / "curl").write_text(CURL)
        (context / "Containerfile").write_text(MILVUS_FILE.format(base=BASE))
        build(engine, context, image_of("milvus"))


def make_postgres(engine: Engine) -> None:
    package = POSTGRES.parents[1]
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        shutil.copytree(POSTGRES.parent, context / "pg" / package.name / POSTGRES.parent.name, symlinks=True)
        shutil.copytree(package.with_name(f"{package.name}.libs"), context / "pg" / f"{package.name}.libs")
        (context / "start").write_text(POSTGRES_START)
        programs = POSTGRES.relative_to(package)
        (context / "Containerfile").write_text(POSTGRES_FILE.format(base=BASE, package=package.name, programs=programs))
        build(engine, context, image_of("postgres"))


def pip_settings(folder: Path) -> list[str]:
    """Options that give the build pip's settings on this machine, and the folders and files that they name."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings: dict[str, list[str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value)).split()
    file = folder / "pip.conf"
    file.write_text("[global]\n" + "".join(f"{name} = {' '.join(parts)}\n" for name, parts in settings.items()))
    mounts = {file: "/etc/pip.conf"}
    for part in (part for parts in settings.values() for part in parts):
        path = Path(part.removeprefix("file://"))
        if path.is_absolute() and path.exists():
            shared = path.parent if path.name == "simple" else path  # an index names files beside itself
            mounts[shared] = str(shared)
    return [f"--volume={path}:{target}:ro" for path, target in mounts.items()]
