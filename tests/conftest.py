"""Fixtures shared by all tests: small random checkpoints, made once per worker in a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path

if "JINA_V3_WEIGHTS" not in os.environ:  # the golden tests may name a hub id
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("JINA_V3_KERNELS", "default")  # the same on every run; test_kernels has the trials
# Before torch is loaded: processes share the cores, and threads that spin while they wait take them from the others.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import hypothesis
import pytest

from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.testing import tiny_jina_bert_config, write_random_checkpoint

pytest_plugins = ["tests.support.extras", "tests.support.slow"]

hypothesis.settings.register_profile("patient", deadline=None)  # busy machines take longer now and then
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def original_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="session")
def hf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("hf"), layout="hf")


@pytest.fixture(scope="session")
def encoder(original_folder: Path) -> Encoder:
    return Encoder.from_pretrained(original_folder, dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def v2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A jina-embeddings-v2 of the plain variant."""
    return write_random_checkpoint(tmp_path_factory.mktemp("v2"), tiny_jina_bert_config())


@pytest.fixture(scope="session")
def v2(v2_folder: Path) -> Encoder:
    return Encoder.from_pretrained(v2_folder, dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def nano() -> Encoder:
    return Encoder.from_pretrained("nano", device="cpu")
