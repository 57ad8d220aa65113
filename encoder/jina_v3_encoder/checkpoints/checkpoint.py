"""Find a checkpoint (a folder, the bundled model, or the hub) and read it into a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..address import without_userinfo
from ..architecture import AnyConfig, read_config
from ..config import CONFIG_FILE, ModelConfig
from ..errors import CheckpointError, CheckpointMismatch, CheckpointNotFound
from ..jina_bert_config import JinaBertConfig
from ..json_file import read_object
from ..network.jina_bert import JinaBertModel
from ..network.jina_v3 import JinaV3Model
from ..network.packed import PackedNetwork
from ..task import Task
from . import jina_bert_layout
from .layouts import QKV_PARTS, Layout, Slot, hf_adapter_slots, hf_base_slots, original_slots
from .weights import StoredTensor, check_tensors, read_tensors, stored_tensors

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
TOKENIZER_FILE = "tokenizer.json"
ADAPTER_CONFIG_FILE = "adapter_config.json"
ADAPTER_FILE = "adapter_model.safetensors"
BUNDLED = "nano"
PUBLISHED = ModelConfig()
V2_SIZES = {(30528, 512, 4), (30528, 768, 12), (61056, 768, 12)}
"""Vocabulary, hidden size and layers of jina-embeddings-v2: small-en; base-en; base-de, -es, -zh and -code."""
HUB_PATTERNS = [CONFIG_FILE, TOKENIZER_FILE, "model*.safetensors", INDEX_FILE] + [
    f"{task.folder}/{file}" for task in Task for file in (ADAPTER_CONFIG_FILE, ADAPTER_FILE)
]


@dataclass(frozen=True)
class Checkpoint:
    """A folder that holds config.json, tokenizer.json and weights in a published layout."""

    folder: Path
    model_id: str
    revision: str | None
    config: AnyConfig
    layout: Layout

    @property
    def licence(self) -> str:
        """Licence of the weights, as far as name and sizes show it."""
        if self.model_id == BUNDLED:
            return "CC BY-SA 4.0"
        config = self.config
        sizes = config.vocab_size, config.hidden_size, config.num_hidden_layers
        if isinstance(config, JinaBertConfig):
            if sizes in V2_SIZES:
                return "Apache-2.0 (Jina AI's, or made from theirs)"
        elif sizes == (PUBLISHED.vocab_size, PUBLISHED.hidden_size, PUBLISHED.num_hidden_layers):
            return "CC BY-NC 4.0 (Jina AI's, or made from theirs): not for commercial use without a licence from them"
        return "not known here: ask where the weights come from"

    @property
    def portable_name(self) -> str:
        """A name that works from any working directory: a folder's whole path, or the id."""
        return self.model_id if self.revision or self.model_id == BUNDLED else str(self.folder.absolute())

    @property
    def tokenizer_file(self) -> Path:
        return self.folder / TOKENIZER_FILE


def find_checkpoint(name: str | Path, revision: str | None = None, *, download: bool = True) -> Checkpoint:
    """Locate a checkpoint by folder, by the bundled name "nano", or by hub id (downloaded with progress bars).

    Raises:
        CheckpointNotFound: there is no such folder or hub id, a file is missing, or the model is not in the cache and
        cannot or must not be downloaded.
        CheckpointError: config.json is damaged or describes another architecture.
        CheckpointMismatch: config.json describes JinaBERT, and the tensors are those of no variant of it.
    """
    folder, resolved = _resolve(name, revision, download)
    config = read_config(folder / CONFIG_FILE)
    if not (folder / TOKENIZER_FILE).is_file():
        raise CheckpointNotFound(
            f"{folder} has no {TOKENIZER_FILE}; the model's own file is needed, since rebuilt tokenizers give other ids"
        )
    layout: Layout = "original"
    if isinstance(config, JinaBertConfig):
        names = stored_tensors(_weight_files(folder), jina_bert_layout.NAMING)
        config = replace(config, variant=jina_bert_layout.variant_of(names, str(folder)))
    elif any((folder / task.folder).is_dir() for task in Task):
        layout, config = "hf", _adapter_config(folder, config)
    return Checkpoint(folder, str(name), resolved, config, layout)


def load_model(checkpoint: Checkpoint, dtype: torch.dtype) -> PackedNetwork:
    """Read the weights of any layout into a network of `dtype` on the CPU.

    Every file's header is compared with config.json before any memory is taken.

    Raises:
        CheckpointNotFound: a weights file or shard is missing.
        CheckpointMismatch: tensors are missing, extra, misshapen, NaN or not those of the config.
    """
    with torch.device("meta"):
        model = network_of(checkpoint.config).cast(dtype)
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


def network_of(config: AnyConfig) -> PackedNetwork:
    """The network that a config describes, without weights."""
    return JinaBertModel(config) if isinstance(config, JinaBertConfig) else JinaV3Model(config)


class _Part(NamedTuple):
    """The tensors of one file or set of shards, and where they go."""

    stored: Mapping[str, StoredTensor]
    slots: Mapping[str, Slot]
    source: str


def _parts(checkpoint: Checkpoint) -> Iterator[_Part]:
    config, files = checkpoint.config, _weight_files(checkpoint.folder)
    if isinstance(config, JinaBertConfig):
        stored = stored_tensors(files, jina_bert_layout.NAMING)
        yield _part(stored, jina_bert_layout.jina_bert_slots(config), WEIGHTS_FILE)
        return
    stored = stored_tensors(files)
    if checkpoint.layout == "original":
        yield _part(stored, original_slots(config), WEIGHTS_FILE)
        return
    split = any(f".{QKV_PARTS[0]}." in name for name in stored)
    yield _part(stored, hf_base_slots(config, split_qkv=split), WEIGHTS_FILE)
    for task in Task:
        path = checkpoint.folder / task.folder / ADAPTER_FILE
        if not path.is_file():
            raise CheckpointNotFound(f"{path} does not exist; the hf layout has one adapter folder for each task")
        slots = hf_adapter_slots(config, task)
        yield _part(stored_tensors([path]), slots, f"{task.folder}/{ADAPTER_FILE}")


def _part(stored: Mapping[str, StoredTensor], slots: Mapping[str, Slot], source: str) -> _Part:
    """Embeddings never use the pooler, so a file may leave out all of it. It is then zero."""
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
    """Rank and alpha from the PEFT folders, since a re-saved hf config.json may lack them."""
    rank_and_alpha: list[tuple[Any, Any]] = []
    for task in Task:
        path = folder / task.folder / ADAPTER_CONFIG_FILE
        values = read_object(path)
        rank_and_alpha.append((values.get("r"), values.get("lora_alpha")))
    rank, alpha = rank_and_alpha[0]
    if (
        rank_and_alpha.count(rank_and_alpha[0]) < len(rank_and_alpha)
        or not isinstance(rank, int)
        or not isinstance(alpha, int | float)
    ):
        listed = ", ".join(
            f"{task}: r={r!r:.50} alpha={a!r:.50}" for task, (r, a) in zip(Task, rank_and_alpha, strict=True)
        )
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
