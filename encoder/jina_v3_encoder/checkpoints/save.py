"""Write a network as a checkpoint folder in a published layout."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from stat import S_IMODE
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..config import CONFIG_FILE, ModelConfig
from ..errors import CheckpointError
from ..network.jina_bert import JinaBertModel
from ..network.jina_v3 import JinaV3Model
from ..network.packed import PackedNetwork
from ..task import Task
from .checkpoint import ADAPTER_CONFIG_FILE, ADAPTER_FILE, TOKENIZER_FILE, WEIGHTS_FILE
from .jina_bert_layout import jina_bert_slots
from .layouts import QKV_PARTS, Layout, Slot, hf_adapter_slots, hf_base_slots, original_slots

BASE_PREFIX = "roberta."
ADAPTER_PREFIX = "base_model.model."
TARGET_MODULES = ["word_embeddings", "token_type_embeddings", *QKV_PARTS, "o_proj", "fc1", "fc2", "dense"]
OF_ADAPTERS = {"lora_adaptations", "lora_rank", "lora_alpha", "lora_dropout_p", "task_instructions"}
"""Fields of config.json that a folder with merged weights must not have."""
# PEFT resolves adapter names against transformers' own modules, so the adapters are written under those names.
ADAPTER_NAMES = (("encoder.layers.", "layers."), (".mixer.out_proj.", ".self_attn.o_proj."))


def save_checkpoint(
    model: PackedNetwork,
    tokenizer_file: Path,
    folder: Path,
    layout: Layout = "original",
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write config.json, tokenizer.json and the weights of `model` into `folder`. Make it if it does not exist.

    Raises:
        CheckpointError: the layout is unknown or does not fit the model, or the folder cannot be written.
    """
    if layout not in ("original", "hf"):
        raise CheckpointError(f"unknown layout {layout!r}: use 'original' or 'hf'")
    if layout == "hf" and not isinstance(model, JinaV3Model):
        raise CheckpointError(
            "the hf layout has a folder for each task, and jina-embeddings-v2 has no tasks: save it as 'original'"
        )
    if layout == "hf" and model.config.quantization:
        raise CheckpointError("the hf layout has no int8 weights: save as 'original', or load without quantize")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if tokenizer_file.resolve() != (folder / TOKENIZER_FILE).resolve():
            shutil.copyfile(tokenizer_file, folder / TOKENIZER_FILE)
        if isinstance(model, JinaBertModel):
            _save_jina_bert(model, folder, dtype)
        elif isinstance(model, JinaV3Model) and layout == "hf":
            _save_hf(model, folder, dtype)
        elif isinstance(model, JinaV3Model):
            _save_original(model, folder, dtype)
    except OSError as error:
        raise CheckpointError(f"cannot write the checkpoint to {folder}: {error}") from error


def save_merged(model: JinaV3Model, bank: int | None, folder: Path) -> None:
    """Write config.json and float32 weights with one adapter merged, as transformers' own class reads them.

    `folder` exists. `model` must hold no bytes.
    """
    slots = hf_base_slots(model.config)
    tensors = {
        BASE_PREFIX + name: slot.view(model.merged_tensor(slot.parameter, bank)).to("cpu").contiguous().clone()
        for name, slot in slots.items()
    }
    _write(tensors, folder / WEIGHTS_FILE)
    values = {**_config_values(model, torch.float32), **_hf_values(model.config)}
    _write_json(folder / CONFIG_FILE, {name: value for name, value in values.items() if name not in OF_ADAPTERS})


def _hf_values(config: ModelConfig) -> dict[str, Any]:
    """What transformers wants to know beside the fields that both layouts have."""
    rope = {"rope_type": "default", "rope_theta": config.rotary_emb_base}
    return {"model_type": "jina_embeddings_v3", "architectures": ["JinaEmbeddingsV3Model"], "rope_parameters": rope}


def _save_jina_bert(model: JinaBertModel, folder: Path, dtype: torch.dtype) -> None:
    _write(_gather(model, jina_bert_slots(model.config), dtype, ""), folder / WEIGHTS_FILE)
    _write_json(folder / CONFIG_FILE, {"architectures": ["JinaBertModel"], **_config_values(model, dtype)})


def _save_original(model: JinaV3Model, folder: Path, dtype: torch.dtype) -> None:
    config = model.config
    _write(_gather(model, original_slots(config), dtype, BASE_PREFIX), folder / WEIGHTS_FILE)
    _write_json(folder / CONFIG_FILE, {"architectures": ["XLMRobertaModel"], **_config_values(model, dtype)})


def _save_hf(model: JinaV3Model, folder: Path, dtype: torch.dtype) -> None:
    config = model.config
    _write(_gather(model, hf_base_slots(config), dtype, BASE_PREFIX), folder / WEIGHTS_FILE)
    _write_json(folder / CONFIG_FILE, {**_config_values(model, dtype), **_hf_values(config)})
    for task in Task:
        target = folder / task.folder
        target.mkdir(exist_ok=True)
        tensors = _gather(model, hf_adapter_slots(config, task), dtype, "")
        _write({ADAPTER_PREFIX + _adapter_name(name): value for name, value in tensors.items()}, target / ADAPTER_FILE)
        adapter = {"peft_type": "LORA", "base_model_name_or_path": None, "lora_dropout": 0.0}
        rank = {"r": config.lora_rank, "lora_alpha": config.lora_alpha, "target_modules": TARGET_MODULES}
        _write_json(target / ADAPTER_CONFIG_FILE, {**adapter, **rank})


def _gather(model: PackedNetwork, slots: Mapping[str, Slot], dtype: torch.dtype, prefix: str) -> dict[str, Tensor]:
    return {
        prefix + name: _stored(slot.view(model.tensor(slot.parameter)), slot, dtype) for name, slot in slots.items()
    }


def _stored(tensor: Tensor, slot: Slot, dtype: torch.dtype) -> Tensor:
    """Bytes and their scales stay what they are."""
    kept = tensor.dtype is torch.int8 or slot.parameter.endswith("weight_scale")
    return tensor.to("cpu", tensor.dtype if kept else dtype).contiguous().clone()


def _adapter_name(name: str) -> str:
    for ours, theirs in ADAPTER_NAMES:
        name = name.replace(ours, theirs)
    return name


def _config_values(model: PackedNetwork, dtype: torch.dtype) -> dict[str, Any]:
    return {**model.config.to_dict(), "torch_dtype": str(dtype).removeprefix("torch.")}


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    """Whoever may read other new files may read this one: safetensors leaves it to its owner alone."""
    path.touch()
    mode = S_IMODE(path.stat().st_mode)
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
