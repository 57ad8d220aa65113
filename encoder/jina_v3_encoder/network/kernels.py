"""Which of several ways to compute the same is fastest on this processor, found out by trying each once.

What wins on AMD may lose on Intel, and the other way round. All ways agree within the rounding of the number format.
The outcome is kept in the state folder, for this processor, torch and number of threads.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from ..architecture import AnyConfig
from ..config import ModelConfig
from ..errors import InvalidInput
from ..jina_bert_config import JinaBertConfig
from ..state import state_folder
from .alibi import Alibi
from .attention import LENGTH_BOUNDS, AttentionChoice, attend_rows
from .linear import (
    ExtendedProduct,
    GatedProduct,
    PackedProduct,
    PlainProduct,
    can_extend,
    can_gate,
    can_pack,
    product_of,
)
from .quantize import Int8Product, quantize_weight
from .team import Team

VARIABLE = "JINA_V3_KERNELS"
FILE = "kernels.json"
VERSION = 1
"""Part of the key of what is kept. Raise it when candidates or their code change."""
Form: TypeAlias = Literal["packed", "extended", "plain"]
FORMS: tuple[Form, ...] = get_args(Form)
TILES, FUSED = "tiles", "fused"
CLEARLY = 0.95
"""Share of the default's time below which another way is taken. Near draws would flip from machine to machine."""
ROUNDS = 3
TRIAL_SECONDS = 0.1
"""Quick ways get more rounds, up to about this time."""
TRIED_TOKENS = 256
TRIED_LENGTHS = (32, 128, 512, 2048)
"""One for each class of lengths."""
TRIED_ROWS = 256
INT8_TRIAL = "int8"
Times: TypeAlias = dict[str, dict[str, float]]
"""Milliseconds of each way, by choice."""


@dataclass(frozen=True)
class Kernels:
    """The ways that are used."""

    product: Form
    """A weight in oneDNN's blocks; the same extended by the adapters as columns; or torch's plain product."""
    attention: AttentionChoice
    batch_tokens: int | None = None
    """Tokens that one thread computes together, None for `device.default_batch_tokens`."""

    def __str__(self) -> str:
        attention = "/".join(TILES if tiled else FUSED for tiled in self.attention.tiles)
        tokens = f",batch_tokens={self.batch_tokens}" if self.batch_tokens else ""
        return f"product={self.product},attention={attention}{tokens}"

    @classmethod
    def parse(cls, text: str, base: Kernels) -> Kernels:
        """What `str` gives, or some parts of it. The rest is as in `base`.

        Raises:
            InvalidInput: an unknown part or value.
        """
        kernels = base
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            kernels = replace(kernels, **{name: _parsed(name, value)})
        return kernels


@dataclass(frozen=True)
class Chosen:
    """Kernels, and why these."""

    kernels: Kernels
    reason: str
    times: Times

    @property
    def int8_is_slower(self) -> bool:
        """Whether bytes were tried, and took longer than the number format of the rest."""
        ways = self.times.get(INT8_TRIAL)
        return ways is not None and ways["int8"] > ways["not rounded"]


@cache
def default_kernels(dtype: torch.dtype, *, alibi: bool = False) -> Kernels:
    """What is right on most machines, from the instructions that the processor has.

    With ALiBi the fused kernel reads a mask, which costs long texts what it gains.
    """
    if dtype is torch.bfloat16:
        amx = bool(torch.cpu.get_capabilities().get("amx_bf16"))
        return Kernels("packed", AttentionChoice.everywhere(tiles=not amx))
    return Kernels("packed", AttentionChoice((True, True, False, alibi)))


def choose(config: AnyConfig, dtype: torch.dtype, team: Team, batch_tokens: int) -> Chosen:
    """The kernels for a model: those told in $JINA_V3_KERNELS, those kept from an earlier trial, or a trial's.

    `batch_tokens` is the default. $JINA_V3_KERNELS is "default", for no trial, or parts such as "product=plain".

    Raises:
        InvalidInput: $JINA_V3_KERNELS has an unknown part or value.
    """
    default = default_kernels(dtype, alibi=isinstance(config, JinaBertConfig))
    told = os.environ.get(VARIABLE, "")
    if told:
        return Chosen(Kernels.parse("" if told == "default" else told, default), f"${VARIABLE}", {})
    key = _key(config, dtype, team.threads)
    kept = _kept(key, default)
    if kept is not None:
        return kept
    chosen = team.alone(partial(_try_all, config, dtype, default, batch_tokens))
    _keep(key, chosen)
    return chosen


@torch.inference_mode()
def _try_all(config: AnyConfig, dtype: torch.dtype, default: Kernels, batch_tokens: int) -> Chosen:
    times: Times = {}
    product, tiles = default.product, []
    if config.quantization == "int8":
        times[INT8_TRIAL] = _time(_int8(config, dtype))
    else:
        times["product"] = _time(_products(config, dtype))
        product = cast(Form, _winner(times["product"], default.product))
    for length, tiled in zip(TRIED_LENGTHS, default.attention.tiles, strict=True):
        ways = times[f"attention of {length} tokens"] = _time(_attentions(config, dtype, length))
        tiles.append(_winner(ways, TILES if tiled else FUSED) == TILES)
    parts = times["batch_tokens"] = _time(_batches(config, dtype, batch_tokens), rounds=2)
    kernels = replace(default, product=product, attention=AttentionChoice(tuple(tiles)))
    return Chosen(replace(kernels, batch_tokens=int(_winner(parts, str(batch_tokens)))), "tried just now", times)


def _products(config: AnyConfig, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """The widest layer of the architecture, with what follows it."""
    return _gated(config, dtype) if isinstance(config, JinaBertConfig) else _adapted(config, dtype)


def _gated(config: JinaBertConfig, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """Both halves of the gated layer, GELU of one, and their product."""
    x, weight = (
        torch.rand(rows, config.hidden_size, dtype=dtype) for rows in (TRIED_TOKENS, 2 * config.intermediate_size)
    )

    def apart(product: Callable[[Tensor, None], Tensor]) -> Tensor:
        gate, up = product(x, None).chunk(2, dim=-1)
        return torch.ops.aten.gelu_(gate) * up  # type: ignore[no-any-return]

    ways: dict[str, Callable[[], object]] = {"plain": partial(apart, PlainProduct(weight))}
    if can_pack(weight):
        gated = can_gate(weight)
        ways["packed"] = (
            partial(GatedProduct.of(weight, gate_first=True), x) if gated else partial(apart, PackedProduct.of(weight))
        )
    return ways


def _adapted(config: ModelConfig, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """The widest layer with one adapter, and GELU."""
    size, wide, rank = config.hidden_size, config.intermediate_size, config.lora_rank
    tasks = max(1, len(config.lora_adaptations))
    x, weight, bias = (torch.rand(shape, dtype=dtype) for shape in ((TRIED_TOKENS, size), (wide, size), (wide,)))
    first, second = torch.rand(tasks, rank, size, dtype=dtype), torch.rand(tasks, wide, rank, dtype=dtype)
    runs = ((0, slice(0, len(x))),)

    def beside(product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        y = product(x, bias).addmm_(x @ first[0].T, second[0].T)
        return torch.ops.aten.gelu_(y)  # type: ignore[no-any-return]

    ways: dict[str, Callable[[], object]] = {"plain": partial(beside, PlainProduct(weight))}
    if can_pack(weight):
        ways["packed"] = partial(beside, PackedProduct.of(weight))
    if can_extend(weight):
        extended = ExtendedProduct.of(weight, second, config.lora_scaling)
        ways["extended"] = lambda: extended(extended.extend(x, runs, first), bias, gelu=True)
    return ways


def _int8(config: AnyConfig, dtype: torch.dtype) -> dict[str, Callable[[], object]]:
    """The widest layer with its weight as bytes, and as it was."""
    x, weight = (torch.rand(rows, config.hidden_size, dtype=dtype) for rows in (TRIED_TOKENS, config.intermediate_size))
    bias = torch.zeros(len(weight), dtype=dtype)
    return {
        "int8": partial(Int8Product.of(*quantize_weight(weight)), x, bias),
        "not rounded": partial(product_of(weight), x, bias),
    }


def _attentions(config: AnyConfig, dtype: torch.dtype, length: int) -> dict[str, Callable[[], object]]:
    """All heads of one text, some rows of it where it is long."""
    heads, size = config.num_attention_heads, config.head_size
    query = torch.rand(min(length, TRIED_ROWS), heads, size, dtype=dtype)
    key, value = torch.rand(2, heads, length, size, dtype=dtype)
    alibi = Alibi(heads) if isinstance(config, JinaBertConfig) else None
    ways = {TILES: True, FUSED: False}
    return {
        name: partial(attend_rows, query, key, value, AttentionChoice.everywhere(tiles=tiled), alibi)
        for name, tiled in ways.items()
    }


def _batches(config: AnyConfig, dtype: torch.dtype, most: int) -> dict[str, Callable[[], object]]:
    """The same tokens through the layer with the widest input, in batches of several sizes."""
    size, wide = config.hidden_size, config.intermediate_size
    x, weight, bias = (torch.rand(shape, dtype=dtype) for shape in ((most, wide), (size, wide), (size,)))
    rounded = config.quantization == "int8"
    product = Int8Product.of(*quantize_weight(weight)) if rounded else product_of(weight)

    def run(tokens: int) -> None:
        for start in range(0, most, tokens):
            torch.ops.aten.gelu_(x[start : start + tokens])
            product(x[start : start + tokens], bias)

    return {str(most // parts): partial(run, most // parts) for parts in (1, 2, 4)}


def _time(ways: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Least milliseconds of each way. They take turns; the first one warms up."""
    least = dict.fromkeys(ways, float("inf"))
    until = time.perf_counter() + TRIAL_SECONDS
    while rounds > 0 or time.perf_counter() < until:
        rounds -= 1
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            least[name] = min(least[name], 1000 * (time.perf_counter() - start))
    return {name: round(milliseconds, 3) for name, milliseconds in least.items()}


def _winner(times: Mapping[str, float], default: str) -> str:
    """The fastest, or the default where it is nearly as fast."""
    best = min(times, key=lambda name: times[name])
    return best if default not in times or times[best] < CLEARLY * times[default] else default


def _parsed(name: str, value: str) -> Any:
    """The value of the field `name` of `Kernels`."""
    if name == "product" and value in FORMS:
        return value
    parts = value.split("/")
    if name == "attention" and set(parts) <= {TILES, FUSED} and len(parts) in (1, len(LENGTH_BOUNDS) + 1):
        tiles = tuple(part == TILES for part in parts)
        return AttentionChoice(tiles) if len(tiles) > 1 else AttentionChoice.everywhere(tiles=tiles[0])
    if name == "batch_tokens" and value.isdecimal() and int(value):
        return int(value)
    raise InvalidInput(
        f"${VARIABLE}: unknown part {name}={value!r}. Use default, or parts with commas between them: "
        f"product={'|'.join(FORMS)}, attention={TILES}|{FUSED} (one, or four with / between them, for texts up to "
        f"{', '.join(map(str, LENGTH_BOUNDS))} and more tokens), batch_tokens=a number"
    )


def _key(config: AnyConfig, dtype: torch.dtype, threads: int) -> str:
    """Networks without adapters have the rank 0."""
    rank = config.lora_rank if isinstance(config, ModelConfig) else 0
    sizes = config.hidden_size, config.intermediate_size, config.num_attention_heads, rank
    limits = os.environ.get("ONEDNN_MAX_CPU_ISA", "")
    values = [
        VERSION,
        processor(),
        _instructions(),
        limits,
        torch.__version__,
        threads,
        str(dtype),
        config.quantization,
        sizes,
    ]
    return json.dumps(values)


def _instructions() -> list[str]:
    """What torch may use."""
    return sorted(name for name, there in torch.cpu.get_capabilities().items() if there is True)


@cache
def processor() -> str:
    """The processor's name."""
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return name


def _kept(key: str, default: Kernels) -> Chosen | None:
    """What an earlier trial found, None if there was none or it cannot be read."""
    try:
        trial = _read_kept()[key]
        kernels, times = Kernels.parse(trial["kernels"], default), {**trial["times"]}
        return Chosen(kernels, f"tried on this machine; remove {state_folder() / FILE} to try again", times)
    except (KeyError, TypeError, AttributeError, InvalidInput):
        return None


def _read_kept() -> dict[str, Any]:
    """All that earlier trials found, nothing if it cannot be read."""
    try:
        kept = json.loads((state_folder() / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep(key: str, chosen: Chosen) -> None:
    """Write a trial's outcome down. Without a folder for it, the next process tries again."""
    kept = _read_kept() | {key: {"kernels": str(chosen.kernels), "times": chosen.times}}
    with suppress(OSError, RuntimeError):
        folder = state_folder()
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".kernels-") as staging:
            file = Path(staging) / FILE
            file.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            file.replace(folder / FILE)
