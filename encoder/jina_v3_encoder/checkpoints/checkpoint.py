"""Where a checkpoint comes from, and how it becomes a network: a folder, the bundled model, or the hub."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..address import without_userinfo
from ..config import CONFIG_FILE, ModelConfig
from ..errors import CheckpointError, CheckpointMismatch, CheckpointNotFound
from ..json_file import read_object
from ..network.jina_v3 import JinaV3Model
from ..task import Task
from .layouts import QKV_PARTS, Layout, Slot, hf_adapter_slots, hf_base_slots, original_slots
from .weights import StoredTensor, check_tensors, read_tensors, stored_tensors

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
TOKENIZER_FILE = "tokenizer.json"
ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_FILE = "adapter_model.safetensors"
BUNDLED = "nano"
PUBLISHED = ModelConfig()
HUB_PATTERNS = [CONFIG_FILE, TOKENIZER_FILE, "model*.safetensors", INDEX_FILE] + [
    f"{task.folder}/{file}" for task in Task for file in (ADAPTER_CONFIG_FILE, ADAPTER_FILE)
]


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds config.json, tokenizer.json and weights in one of the two layouts."""

    folder: Path
    model_id: str
    revision: str | None
    config: ModelConfig
    layout: Layout

    @property
    def licence(self) -> str:
        """Of the weights, as far as name and sizes tell."""
        if self.model_id == BUNDLED:
            return "CC BY-SA 4.0"
        sizes = ("vocab_size", "hidden_size", "num_hidden_layers")
        if all(getattr(self.config, name) == getattr(PUBLISHED, name) for name in sizes):
            return "CC BY-NC 4.0 (Jina AI's, or made from theirs): not for commercial use without a licence from them"
        return "not known here: ask where the weights come from"

    @property
    def portable_name(self) -> str:
        """A name that finds it from any working directory: a folder's whole path, else the id."""
        return self.model_id if self.revision or self.model_id == BUNDLED else str(self.folder.absolute())

    @property
    def tokenizer_file(self) -> Path:
        return self.folder / TOKENIZER_FILE


def find_checkpoint(name: str | Path, revision: str | None = None, *, download: bool = True) -> Checkpoint:
    """Locate a checkpoint by folder, by the bundled name "nano", or by hub id (downloaded with progress bars).

    Raises:
        CheckpointNotFound: no such folder or hub id, a file is missing, or not in the cache while offline or while
            `download` is off.
        CheckpointError: config.json is damaged or describes another architecture.
    """
    folder, resolved = _resolve(name, revision, download)
    config = ModelConfig.from_file(folder / CONFIG_FILE)
    if not (folder / TOKENIZER_FILE).is_file():
        raise CheckpointNotFound(
            f"{folder} has no {TOKENIZER_FILE}; the model's own file is needed, since rebuilt tokenizers give other ids"
        )
    layout: Layout = "hf" if any((folder / task.folder).is_dir() for task in Task) else "original"
    if layout == "hf":
        config = _adapter_config(folder, config)
    return Checkpoint(folder, str(name), resolved, config, layout)


def load_model(checkpoint: Checkpoint, dtype: torch.dtype) -> JinaV3Model:
    """Read the weights of either layout into a network of `dtype` on the CPU.

    Every file's header is compared with config.json before any memory is taken.

    Raises:
        CheckpointNotFound: a weights file or shard is missing.
        CheckpointMismatch: tensors are missing, extra, misshapen, NaN or not those of the config.
    """
    with torch.device("meta"):
        model = JinaV3Model(checkpoint.config).cast(dtype)
    parts = list(_parts(checkpoint))
    announced = dict(model.named_parameters())
    for part in parts:
        check_tensors(part.stored, part.slots, announced, part.source)
    model = model.to_empty(device="cpu").eval().requires_grad_(False)
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if name.startswith("pooler."):
            parameter.zero_()
    for part in parts:
        read_tensors(part.stored, part.slots, parameters)
    return model


class _Part(NamedTuple):
    """The tensors of one file or set of shards, and where they go."""

    stored: Mapping[str, StoredTensor]
    slots: Mapping[str, Slot]
    source: str


def _parts(checkpoint: Checkpoint) -> Iterator[_Part]:
    stored = stored_tensors(_weight_files(checkpoint.folder))
    if checkpoint.layout == "original":
        yield _part(stored, original_slots(checkpoint.config), WEIGHTS_FILE)
        return
    split = any(f".{QKV_PARTS[0]}." in name for name in stored)
    yield _part(stored, hf_base_slots(checkpoint.config, split_qkv=split), WEIGHTS_FILE)
    for task in Task:
        path = checkpoint.folder / task.folder / ADAPTER_FILE
        if not path.is_file():
            raise CheckpointNotFound(f"{path} does not exist; the hf layout has one adapter folder for each task")
        slots = hf_adapter_slots(checkpoint.config, task)
        yield _part(stored_tensors([path]), slots, f"{task.folder}/{ADAPTER_FILE}")


def _part(stored: Mapping[str, StoredTensor], slots: Mapping[str, Slot], source: str) -> _Part:
    """Embeddings never use the pooler, so a file may leave it out as a whole; it is then zero."""
    if not any(name.startswith("pooler.") for name in stored):
        slots = {name: slot for name, slot in slots.items() if not name.startswith("pooler.")}
    return _Part(stored, slots, source)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / INDEX_FILE
    if not index.is_file():
        if (folder / WEIGHTS_FILE).is_file():
            return [folder / WEIGHTS_FILE]
        pickled = "; pickled weights (pytorch_model.bin) are never loaded" if any(folder.glob("*.bin")) else ""
        raise CheckpointNotFound(f"{folder} has no {WEIGHTS_FILE}{pickled}")
    names = read_object(index).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise CheckpointError(f"{index} has no weight_map")
    files = [folder / Path(name).name for name in sorted({str(name) for name in names.values()})]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise CheckpointNotFound(f"{folder} lacks {len(missing)} of {len(files)} shards: {', '.join(missing)}")
    return files


def _adapter_config(folder: Path, config: ModelConfig) -> ModelConfig:
    """Rank and alpha as the PEFT folders state them: the hf config.json may be re-saved without them."""
    stated: list[tuple[Any, Any]] = []
    for task in Task:
        path = folder / task.folder / ADAPTER_CONFIG_FILE
        values = read_object(path)
        stated.append((values.get("r"), values.get("lora_alpha")))
    rank, alpha = stated[0]
    if stated.count(stated[0]) < len(stated) or not isinstance(rank, int) or not isinstance(alpha, int | float):
        listed = ", ".join(f"{task}: r={r!r:.50} alpha={a!r:.50}" for task, (r, a) in zip(Task, stated, strict=True))
        raise CheckpointMismatch(f"{folder}: the five adapters must share one rank and alpha, got {listed}")
    return replace(config, lora_rank=rank, lora_alpha=alpha)


def _resolve(name: str | Path, revision: str | None, download: bool) -> tuple[Path, str | None]:
    if name == BUNDLED:
        return Path(__file__).parents[1] / BUNDLED, None
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder, None
    if isinstance(name, Path) or str(name).startswith((".", "/", "~")) or str(name).count("/") != 1:
        shown = without_userinfo(str(name)) if "://" in str(name) else name
        raise CheckpointNotFound(
            f"{shown} is no folder; pass a folder with {CONFIG_FILE}, a hub id such as "
            f'"jinaai/jina-embeddings-v3", or "{BUNDLED}" for the small bundled model'
        )
    return _from_hub(str(name), revision, download)


def _from_hub(repository: str, revision: str | None, download: bool) -> tuple[Path, str | None]:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    at = f" at revision {revision}" if revision else ""
    try:
        folder = Path(
            snapshot_download(repository, revision=revision, allow_patterns=HUB_PATTERNS, local_files_only=not download)
        )
    except GatedRepoError as error:
        raise CheckpointNotFound(f"{repository} is gated: accept its terms on the hub, then `hf auth login`") from error
    except RepositoryNotFoundError as error:
        raise CheckpointNotFound(
            f"{repository} is neither a local folder nor a model on the hub; check the spelling"
        ) from error
    except RevisionNotFoundError as error:
        raise CheckpointNotFound(f"{repository} has no revision {revision}; use a branch, tag or commit") from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        if not download:
            raise CheckpointNotFound(
                f"{repository}{at} is not on this machine: allow its download (download=True, --allow-download), or "
                "name a model that you trust (--model)"
            ) from error
        raise CheckpointNotFound(
            f"{repository}{at} is not in the local cache and the hub cannot be reached; on a connected machine run "
            f"`hf download {repository}`, copy the folder here and pass its path, "
            f'or try the bundled model with Encoder.from_pretrained("{BUNDLED}")'
        ) from error
    except HFValidationError as error:
        raise CheckpointNotFound(f"{repository} is no folder and no valid hub id: {error}") from error
    return folder, folder.name
