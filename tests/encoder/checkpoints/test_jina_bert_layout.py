"""Loading and saving jina-embeddings-v2: the tables of both variants, and every way its files can be broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from jina_v3_encoder.checkpoints.checkpoint import HUB_PATTERNS, find_checkpoint, load_model, network_of
from jina_v3_encoder.checkpoints.jina_bert_layout import NAMING, jina_bert_slots, variant_of
from jina_v3_encoder.encoder import Encoder
from jina_v3_encoder.errors import CheckpointError, CheckpointMismatch, CheckpointNotFound, InvalidInput
from jina_v3_encoder.jina_bert_config import IMPLEMENTATIONS, VARIANTS, JinaBertConfig, Variant
from jina_v3_encoder.testing import tiny_jina_bert_config, write_random_checkpoint
from jina_v3_encoder.tokenizer_factory import TokenizerKind, write_tokenizer

TEXTS = ["hello world", "another one, longer than the first", ""]
SMALL_EN = JinaBertConfig(hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048)
BASE_DE = JinaBertConfig(vocab_size=61056)
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module", params=VARIANTS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("v2"), tiny_jina_bert_config(request.param))


def load(folder: Path, dtype: str = "float32") -> Encoder:
    return Encoder.from_pretrained(folder, dtype=dtype, device="cpu")


def rewritten(source: Path, target: Path, change: Callable[[Tensors], Tensors]) -> Path:
    shutil.copytree(source, target)
    weights = target / "model.safetensors"
    save_file(change(load_file(weights)), weights)
    return target


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (SMALL_EN, 32_690_688),
        (JinaBertConfig(), 137_368_320),
        (BASE_DE, 160_813_824),
        (replace(BASE_DE, variant="qk-post-norm"), 160_869_120),
    ],
)
def test_parameter_counts_of_the_published_files(config: JinaBertConfig, parameters: int) -> None:
    with torch.device("meta"):
        shapes = dict(network_of(config).named_parameters())
    slots = jina_bert_slots(config)
    assert sum(slot.view(shapes[slot.parameter]).numel() for slot in slots.values()) == parameters
    assert {slot.parameter for slot in slots.values()} == set(shapes)
    assert all(NAMING.canonical(name) == name for name in slots)


@pytest.mark.parametrize(
    ("variant", "name", "shape"),
    [
        ("plain", "encoder.layer.11.mlp.gated_layers.weight", (6144, 768)),
        ("plain", "encoder.layer.11.mlp.wo.weight", (768, 3072)),
        ("plain", "encoder.layer.0.mlp.layernorm.bias", (768,)),
        ("plain", "encoder.layer.0.attention.self.key.weight", (768, 768)),
        ("plain", "encoder.layer.0.attention.output.LayerNorm.weight", (768,)),
        ("plain", "embeddings.token_type_embeddings.weight", (2, 768)),
        ("qk-post-norm", "encoder.layer.11.mlp.up_gated_layer.weight", (6144, 768)),
        ("qk-post-norm", "encoder.layer.11.mlp.down_layer.bias", (768,)),
        ("qk-post-norm", "encoder.layer.0.attention.self.layer_norm_q.weight", (768,)),
        ("qk-post-norm", "encoder.layer.0.layer_norm_2.bias", (768,)),
        ("qk-post-norm", "pooler.dense.weight", (768, 768)),
    ],
)
def test_published_names_and_shapes(variant: Variant, name: str, shape: tuple[int, ...]) -> None:
    config = JinaBertConfig(variant=variant)
    with torch.device("meta"):
        shapes = dict(network_of(config).named_parameters())
    slot = jina_bert_slots(config)[name]
    assert tuple(slot.view(shapes[slot.parameter]).shape) == shape


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("bert.encoder.layer.0.mlp.wo.bias", "encoder.layer.0.mlp.wo.bias"),
        ("model.embeddings.LayerNorm.weight", "embeddings.LayerNorm.weight"),
        ("cls.predictions.bias", None),
        ("bert.embeddings.position_ids", None),
    ],
)
def test_accepted_names(name: str, canonical: str | None) -> None:
    assert NAMING.canonical(name) == canonical


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_round_trips(folder: Path, tmp_path: Path, dtype: str) -> None:
    encoder = load(folder, dtype)
    encoder.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved", dtype)
    assert np.array_equal(again.encode(TEXTS), encoder.encode(TEXTS))
    assert (again.fingerprint, again.config) == (encoder.fingerprint, encoder.config)
    assert set(load_file(tmp_path / "saved" / "model.safetensors")) == set(load_file(folder / "model.safetensors"))


def test_what_is_written_tells_other_programs_the_variant(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    variant = load(folder).config.variant  # type: ignore[union-attr]
    assert config["_name_or_path"] == IMPLEMENTATIONS[variant]
    assert (config["model_type"], config["position_embedding_type"]) == ("bert", "alibi")
    assert "variant" not in config


def test_the_hf_layout_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="jina-embeddings-v2 has no tasks: save it as 'original'"):
        load(folder).save_pretrained(tmp_path / "hf", "hf")
    assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_bytes_are_saved_and_loaded(folder: Path, tmp_path: Path, dtype: str) -> None:
    try:
        rounded = Encoder.from_pretrained(folder, device="cpu", dtype=dtype, quantize="int8")
    except InvalidInput as error:
        pytest.skip(str(error))
    rounded.save_pretrained(tmp_path / "saved")
    again = load(tmp_path / "saved", dtype)
    assert again.quantization == rounded.quantization == "int8"
    assert np.array_equal(again.encode(TEXTS), rounded.encode(TEXTS))
    assert again.fingerprint == rounded.fingerprint != load(folder, dtype).fingerprint
    with safe_open(tmp_path / "saved" / "model.safetensors", framework="pt") as file:
        name = "encoder.layer.0.attention.self.query"
        assert file.get_slice(f"{name}.weight").get_dtype() == "I8"
        assert (
            file.get_slice(f"{name}.weight_scale").get_dtype(),
            file.get_slice(f"{name}.weight_scale").get_shape(),
        ) == (
            "F32",
            [96],
        )
        assert file.get_slice("pooler.dense.weight").get_dtype() in ("F32", "BF16")


def test_a_pooler_may_be_left_out(folder: Path, tmp_path: Path) -> None:
    def drop(tensors: Tensors) -> Tensors:
        return {name: tensor for name, tensor in tensors.items() if "pooler" not in name}

    copy = load(rewritten(folder, tmp_path / "copy", drop))
    assert np.array_equal(copy.encode(TEXTS), load(folder).encode(TEXTS))
    assert copy.fingerprint == load(folder).fingerprint


def test_missing_extra_and_misshapen_tensors_are_listed(folder: Path, tmp_path: Path) -> None:
    def change(tensors: Tensors) -> Tensors:
        del tensors["encoder.layer.1.attention.self.key.bias"]
        return tensors | {"classifier.weight": torch.zeros(3), "embeddings.LayerNorm.bias": torch.zeros(97)}

    with pytest.raises(CheckpointMismatch) as caught:
        load(rewritten(folder, tmp_path / "copy", change))
    message = str(caught.value)
    assert "missing encoder.layer.1.attention.self.key.bias (96,)" in message
    assert "unexpected classifier.weight (3,)" in message
    assert "embeddings.LayerNorm.bias has shape (97,), config.json asks for (96,)" in message


def test_weights_that_are_not_finite(folder: Path, tmp_path: Path) -> None:
    def poison(tensors: Tensors) -> Tensors:
        tensors["encoder.layer.1.attention.self.value.weight"][3, 5] = torch.nan
        return tensors

    with pytest.raises(CheckpointMismatch, match=r"self\.value\.weight holds NaN or infinite values"):
        load(rewritten(folder, tmp_path / "copy", poison))


@pytest.mark.parametrize(("names", "words"), [((), "neither"), (("gated_layers", "up_gated_layer"), "both")])
def test_tensors_of_no_variant(names: tuple[str, ...], words: str) -> None:
    tensors = [f"encoder.layer.0.mlp.{name}.weight" for name in names]
    with pytest.raises(CheckpointMismatch, match=f"here holds {words} .*gated_layers.* or .*up_gated_layer"):
        variant_of(tensors, "here")


def test_a_bert_with_alibi_and_another_mlp_is_refused_when_it_is_found(folder: Path, tmp_path: Path) -> None:
    def rename(tensors: Tensors) -> Tensors:
        return {name.replace(".mlp.", ".ffn."): tensor for name, tensor in tensors.items()}

    with pytest.raises(CheckpointMismatch, match="no jina-embeddings-v2 as published"):
        find_checkpoint(rewritten(folder, tmp_path / "copy", rename))


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_missing_files_are_named(folder: Path, tmp_path: Path, file: str) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / file).unlink()
    with pytest.raises(CheckpointNotFound, match=file.replace(".", r"\.")):
        load(copy)


def test_shards(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    parts = {
        "model-00001-of-00002.safetensors": sorted(tensors)[::2],
        "model-00002-of-00002.safetensors": sorted(tensors)[1::2],
    }
    for file, names in parts.items():
        save_file({name: tensors[name] for name in names}, copy / file)
    weight_map = {name: file for file, names in parts.items() for name in names}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert np.array_equal(load(copy).encode(TEXTS), load(folder).encode(TEXTS))


def test_the_two_variants_have_two_fingerprints(tmp_path: Path) -> None:
    folders = [write_random_checkpoint(tmp_path / variant, tiny_jina_bert_config(variant)) for variant in VARIANTS]
    assert len({load(folder).fingerprint for folder in folders}) == 2


@pytest.mark.parametrize("change", [{"num_attention_heads": 3}, {"layer_norm_eps": 1e-6}])
def test_what_decides_vectors_changes_the_fingerprint(folder: Path, tmp_path: Path, change: dict[str, float]) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(values | change))
    assert load(copy).fingerprint != load(folder).fingerprint


@pytest.mark.parametrize(("kind", "ends"), [("wordpiece", (2, 3)), ("byte-level", (0, 2)), ("unigram", (0, 2))])
def test_the_tokenizer_tells_the_first_and_the_last_token(
    folder: Path, tmp_path: Path, kind: TokenizerKind, ends: tuple[int, int]
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    write_tokenizer(copy / "tokenizer.json", 4096, kind)
    encoder = load(copy)
    (ids,) = encoder.engine.text_ids(["a long text " * 300], [None], prompt=True)
    cut = encoder.engine.cut_ids(ids)
    assert (cut[0], cut[-1], len(cut)) == (*ends, encoder.max_tokens)


def test_a_tokenizer_without_special_tokens_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    values = json.loads((copy / "tokenizer.json").read_text())
    (copy / "tokenizer.json").write_text(json.dumps(values | {"post_processor": None}))
    with pytest.raises(
        CheckpointMismatch, match=r"encodes 'a' as \[\d+\], expected \[\d+\] between two special tokens"
    ):
        load(copy)


@pytest.mark.parametrize("config", [SMALL_EN, JinaBertConfig(), BASE_DE, replace(BASE_DE, variant="qk-post-norm")])
def test_the_published_sizes_tell_the_licence(folder: Path, config: JinaBertConfig) -> None:
    checkpoint = find_checkpoint(folder)
    assert checkpoint.licence.startswith("not known here")
    assert replace(checkpoint, config=config).licence.startswith("Apache-2.0")


def test_a_model_in_the_hubs_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "models--jinaai--jina-embeddings-v2-base-en"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    checkpoint = find_checkpoint("jinaai/jina-embeddings-v2-base-en")
    assert checkpoint.revision == commit
    assert {"config.json", "tokenizer.json", "model*.safetensors"} <= set(HUB_PATTERNS)


def test_loading_gives_the_asked_dtype_and_frozen_parameters(folder: Path) -> None:
    model = load_model(find_checkpoint(folder), torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in model.parameters())
