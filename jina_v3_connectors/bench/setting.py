"""What all measurements of the encoder share: random weights, formats, threads, and the roof of matrix products."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jina_v3_encoder import Encoder
from jina_v3_encoder.config import ModelConfig
from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.network.kernels import processor
from jina_v3_encoder.network.linear import Product, product_of
from jina_v3_encoder.network.quantize import Int8Product, check_int8, quantize_weight
from jina_v3_encoder.network.team import team_of

from .corpus import full_geometry

INT8 = "int8"
COMPETITOR = """
import os, sys, torch
torch.set_num_threads(int(sys.argv[1]))
matrix = torch.rand(1500, 1500)
while os.getppid() == int(sys.argv[2]):
    matrix @ matrix
"""
"""A neighbour as a database or another tenant is. It ends when its parent is gone."""


@dataclass(frozen=True)
class Setting:
    """The conditions of a measurement. The published model has 24 layers. The vocabulary is random words."""

    layers: int = 4
    vocabulary: int = 20_000
    threads: int = 1
    runs: int = 3
    device: str = "cpu"
    busy: bool = False
    """Whether another process computes on all cores meanwhile."""
    announce: Callable[[str], None] = lambda _: None

    def conditions(self) -> dict[str, Any]:
        values = {"layers": self.layers, "vocabulary": self.vocabulary, "threads": self.threads, "runs": self.runs}
        machine = {"device": self.device, "processor": processor(), "busy": self.busy, "torch": torch.__version__}
        return {**values, **machine}

    def summary(self) -> str:
        beside = ", beside another busy process" if self.busy else ""
        threads = f"{self.device}, {self.threads} threads{beside}, medians of {self.runs} rounds"
        return f"{self.layers} layers, {threads}\n{processor()}"


@contextmanager
def company(setting: Setting) -> Iterator[None]:
    """Another process that multiplies matrices on all cores, if the setting is busy. It ends with the measurement."""
    if not setting.busy:
        yield
        return
    arguments = [sys.executable, "-c", COMPETITOR, str(setting.threads), str(os.getpid())]
    with subprocess.Popen(arguments, start_new_session=True) as competitor:  # noqa: S603 - our own words
        try:
            yield
        finally:
            competitor.kill()


@contextmanager
def random_model(setting: Setting) -> Iterator[Path]:
    """A checkpoint of the published widths. Meanwhile torch uses the setting's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(setting.threads)
    try:
        with tempfile.TemporaryDirectory() as name:
            setting.announce(f"writing random weights: {setting.layers} layers of 1024")
            yield full_geometry(Path(name), setting.layers, setting.vocabulary)
    finally:
        torch.set_num_threads(before)


def usual_formats(device: str) -> tuple[str, ...]:
    """All number formats that the device multiplies: not every processor has an instruction for bytes."""
    formats = ("bfloat16", "float32")
    try:
        check_int8(torch.device(device), torch.float32)
    except InvalidInput:
        return formats
    return (*formats, INT8)


def load(folder: Path, number_format: str, device: str = "cpu", threads: int | None = None) -> Encoder:
    """`number_format` is bfloat16, float32 or int8, which keeps the rest in bfloat16 where that is fast."""
    if number_format == INT8:
        return Encoder.from_pretrained(folder, device=device, quantize="int8", threads=threads)
    return Encoder.from_pretrained(folder, device=device, dtype=number_format, threads=threads)


class Roof:
    """Runs the linear layers of one block alone, on random numbers, at the encoder's batch size.

    On the CPU each thread runs them, as each thread reads batches of its own.
    """

    def __init__(self, number_format: str, tokens: int, device: str, threads: int) -> None:
        self._team = team_of(threads) if device == "cpu" else None
        self._copies = threads if device == "cpu" else 1
        config = ModelConfig()
        size, wide = config.hidden_size, config.intermediate_size
        dtype = getattr(torch, "bfloat16" if number_format == INT8 else number_format)
        shapes = ((size, 3 * size), (size, size), (size, wide), (wide, size))
        self._inputs = {width: torch.randn(tokens, width, dtype=dtype, device=device) for width in (size, wide)}
        self._parts = [
            (inputs, _product(torch.randn(outputs, inputs, dtype=dtype, device=device), number_format), outputs)
            for inputs, outputs in shapes
        ]
        self._biases = {outputs: torch.zeros(outputs, dtype=dtype, device=device) for _, outputs in shapes}
        self.operations = 2 * self._copies * tokens * sum(inputs * outputs for inputs, outputs in shapes)

    def seconds(self) -> float:
        start = time.perf_counter()
        if self._team is None:
            self._run()
        else:
            list(self._team.each([self._run] * self._copies))
        return time.perf_counter() - start

    @torch.inference_mode()
    def _run(self) -> None:
        for inputs, product, outputs in self._parts:
            result = product(self._inputs[inputs], self._biases[outputs])
        result[0, 0].item()


def operations_per_token(layers: int) -> int:
    """Additions and multiplications of the linear layers of all blocks."""
    config = ModelConfig()
    return 2 * layers * config.hidden_size * (4 * config.hidden_size + 2 * config.intermediate_size)


def _product(weight: torch.Tensor, number_format: str) -> Product:
    if number_format == INT8:
        return Int8Product.of(*quantize_weight(weight))
    return product_of(weight)
