"""The loop both training stages share: bfloat16 compute over float32 master weights, a time budget, resumable."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from jina_v3_encoder.network.batching import Reading, pack, used_rows
from jina_v3_encoder.network.jina_v3 import JinaV3Model
from jina_v3_encoder.network.pooling import sum_states

IntArray = NDArray[np.int64]
WARM_UP_STEPS = 40
CLIP = 1.0
SAVE_SECONDS = 120.0
REPORT_STEPS = 50


class Trainer:
    """Trains the parameters that require gradients until `seconds` of training time are used up, resumes included."""

    def __init__(
        self,
        model: JinaV3Model,
        seconds: float,
        rate_of: Callable[[str], float],
        decay: float,
        state_file: Path,
        banks: Sequence[int] | None = None,
    ) -> None:
        """`rate_of` gives the highest learning rate of a parameter by its name.

        `banks` are the adapters that are trained; the others' weights stay as the model brings them.
        """
        self.seconds, self.state_file = seconds, state_file
        self.named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.master = {name: p.detach().float().clone().requires_grad_() for name, p in self.named.items()}
        model.to(torch.bfloat16)
        by_rate: dict[float, list[Tensor]] = defaultdict(list)
        for name, value in self.master.items():
            by_rate[rate_of(name)].append(value)
        groups = [{"params": values, "highest": rate} for rate, values in by_rate.items()]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=decay, fused=True)
        self.banks = slice(None) if banks is None else list(banks)
        self.elapsed, self.step, self.tokens = 0.0, 0, 0
        if state_file.exists():
            self._resume()
        self._push()

    def run(self, name: str, loss_of: Callable[[int], tuple[Tensor, int]]) -> None:
        """`loss_of(step)` returns the loss and the number of tokens read; it must depend on `step` alone."""
        saved, losses = self.elapsed, []
        while self.elapsed < self.seconds:
            begin = time.perf_counter()
            loss, tokens = loss_of(self.step)
            loss.backward()  # type: ignore[no-untyped-call]
            self._update()
            losses.append(float(loss.detach()))
            self.elapsed += time.perf_counter() - begin
            self.step, self.tokens = self.step + 1, self.tokens + tokens
            if self.step % REPORT_STEPS == 0:
                speed = self.tokens / self.elapsed
                mean = sum(losses) / len(losses)
                print(
                    f"{name} {self.elapsed:6.0f} s  step {self.step}  loss {mean:.4f}  {speed:.0f} tokens/s", flush=True
                )
                losses.clear()
            if self.elapsed - saved > SAVE_SECONDS:
                self._save()
                saved = self.elapsed
        self._save()

    def _update(self) -> None:
        for name, parameter in self.named.items():
            gradient = parameter.grad
            self.master[name].grad = None if gradient is None else gradient.float()
            parameter.grad = None
        torch.nn.utils.clip_grad_norm_(self.master.values(), CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * self._schedule()
        self.optimizer.step()
        self._push()

    def _schedule(self) -> float:
        """Linear warm-up, constant to 30 % of the time, then linear to 3 %."""
        done = min(1.0, self.elapsed / self.seconds)
        falling = 1.0 if done < 0.3 else 1.0 - 0.97 * (done - 0.3) / 0.7
        return min(1.0, (self.step + 1) / WARM_UP_STEPS) * falling

    def _push(self) -> None:
        with torch.no_grad():
            for name, parameter in self.named.items():
                parameter.copy_(self.master[name])

    def _save(self) -> None:
        tensors = {f"master.{name}": value.detach() for name, value in self.master.items()}
        for name, value in self.master.items():
            for key, moment in self.optimizer.state.get(value, {}).items():
                tensors[f"{key}.{name}"] = torch.as_tensor(moment)
        counters = {"elapsed": repr(self.elapsed), "step": str(self.step), "tokens": str(self.tokens)}
        partial = self.state_file.with_suffix(".partial")
        save_file(tensors, partial, metadata=counters)
        partial.replace(self.state_file)

    def _resume(self) -> None:
        with safe_open(self.state_file, framework="pt") as file:
            counters = file.metadata()
            self.elapsed, self.step, self.tokens = (
                float(counters["elapsed"]),
                int(counters["step"]),
                int(counters["tokens"]),
            )
            names = set(file.keys())
            for name, value in self.master.items():
                value.data[self.banks] = file.get_tensor(f"master.{name}").to(value.device)[self.banks]
                keys = [key for key in ("step", "exp_avg", "exp_avg_sq") if f"{key}.{name}" in names]
                self.optimizer.state[value] = {key: file.get_tensor(f"{key}.{name}").to(value.device) for key in keys}


def pooled(model: JinaV3Model, readings: Sequence[Reading], vectors: int) -> Tensor:
    """Mean states (vectors, C) in float32, with gradients.

    Texts of equal length are made neighbours, so that attention takes one call for all of them.
    """
    device = next(model.parameters()).device
    readings = sorted(readings, key=lambda reading: (-1 if reading.bank is None else reading.bank, len(reading.ids)))
    states = model(pack(readings, device))
    owners = np.concatenate([reading.owners for reading in readings])
    sums = sum_states(states, used_rows(readings), owners, vectors)
    return sums / torch.from_numpy(np.bincount(owners, minlength=vectors)).to(device).clamp(min=1)[:, None]
