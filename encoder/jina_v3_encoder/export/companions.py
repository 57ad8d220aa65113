"""The small files beside the weights: what each runtime reads to tokenise, to pool and to know the limits.

text-embeddings-inference reads config.json, tokenizer.json, 1_Pooling and sentence_bert_config.json; fastembed the
tokenizer's files; Transformers.js config.json and the tokenizer's files; sentence-transformers modules.json and what it
names.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ..architecture import AnyConfig
from ..checkpoints.checkpoint import TOKENIZER_FILE
from ..config import CONFIG_FILE
from ..encoder import Encoder
from ..jina_bert_config import JinaBertConfig
from .formats import DATA_SUFFIX
from .subject import Subject

SAME_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "type_vocab_size",
    "layer_norm_eps",
    "bos_token_id",
    "pad_token_id",
    "eos_token_id",
)
"""Fields of config.json that mean the same in every BERT and XLM-RoBERTa."""
MODULES = ("Transformer", "Pooling", "Normalize")
ENDS = {"bos_token": 0, "cls_token": 0, "eos_token": -1, "sep_token": -1}
"""Names in the tokenizer's files, and where in a text the tokens stand."""
SIDES = ("query", "document")
"""The prompts that sentence-transformers takes for `encode_query` and `encode_document`."""
OTHER_SPECIALS = {
    "pad_token": ("<pad>", "[PAD]"),
    "unk_token": ("<unk>", "[UNK]"),
    "mask_token": ("<mask>", "[MASK]"),
}
"""What they are called in XLM-RoBERTa and in BERT."""


def write_companions(subject: Subject, folder: Path) -> None:
    """Write the files that all formats have."""
    encoder = subject.encoder
    limit, specials = encoder.max_tokens, _specials(encoder)
    shutil.copyfile(encoder.tokenizer_file, folder / TOKENIZER_FILE)
    # A generic class takes tokenizer.json as it is. XLMRobertaTokenizer would rebuild it and lose its normalizer.
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    sides = {"padding_side": "right", "truncation_side": "right", "clean_up_tokenization_spaces": False}
    limits = {"model_max_length": limit, "max_length": limit}
    write_json(folder / "tokenizer_config.json", {**tokenizer, **sides, **limits, **specials})
    write_json(folder / "special_tokens_map.json", specials)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": limit, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    write_json(folder / "1_Pooling" / CONFIG_FILE, _pooling(encoder.dimensions))
    write_json(folder / "modules.json", _modules())
    write_json(folder / "config_sentence_transformers.json", _prompts(subject))


def write_graph_config(subject: Subject, folder: Path) -> None:
    """Write config.json for the runtimes that read the graph in `folder`.

    They know neither a rotary XLM-RoBERTa nor JinaBERT, and read only the limit, the padding and the sizes.
    """
    # Transformers.js looks for no data file that is not announced. It wants the number of files for each graph.
    external = {file.name.removesuffix(DATA_SUFFIX): 1 for file in folder.glob(f"*/*.onnx{DATA_SUFFIX}")}
    values = {
        **_architecture(subject.config),
        "hidden_act": "gelu",
        "torch_dtype": "float32",
        **({"transformers.js_config": {"use_external_data_format": external}} if external else {}),
        "jina_v3_export": {
            "model": subject.encoder.model_id,
            "fingerprint": subject.encoder.fingerprint,
            "task": subject.task_name,
            "prompts": dict(subject.prompts),
        },
    }
    write_json(folder / CONFIG_FILE, values)


def write_json(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _architecture(config: AnyConfig) -> dict[str, Any]:
    """The nearest architecture that runtimes know, with its own way to tell the limit."""
    fields = {name: getattr(config, name) for name in SAME_FIELDS}
    sizes = {name: value for name, value in fields.items() if value is not None}
    if isinstance(config, JinaBertConfig):
        known = {"model_type": "bert", "architectures": ["BertModel"], "position_embedding_type": "alibi"}
        return {**known, **sizes, "max_position_embeddings": config.max_tokens}
    known = {"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"], "position_embedding_type": "rotary"}
    # XLM-RoBERTa counts positions from the padding's id on, so a runtime takes that off again.
    return {**known, **sizes, "max_position_embeddings": config.max_tokens + config.pad_token_id + 1}


def _specials(encoder: Encoder) -> dict[str, str]:
    tokenizer = Tokenizer.from_file(str(encoder.tokenizer_file))
    (ids,) = encoder.engine.text_ids(["a"], [None], prompt=False)
    ends = {name: tokenizer.id_to_token(int(ids[index])) for name, index in ENDS.items()}
    others = {
        name: token
        for name, forms in OTHER_SPECIALS.items()
        for token in forms
        if tokenizer.token_to_id(token) is not None
    }
    return {**{name: token for name, token in ends.items() if token is not None}, **others}


def _pooling(dimensions: int) -> dict[str, Any]:
    return {
        "word_embedding_dimension": dimensions,
        "pooling_mode_cls_token": False,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": False,
        "include_prompt": True,
    }


def _modules() -> list[dict[str, Any]]:
    return [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{module}" if number else "",
            "type": f"sentence_transformers.models.{module}",
        }
        for number, module in enumerate(MODULES)
    ]


def _prompts(subject: Subject) -> dict[str, Any]:
    """A folder of one task puts its prompt in front by default, as our own `encode` does.

    `encode_query` and `encode_document` would add none if their names were missing.
    """
    prompts = {**subject.prompts, **(dict.fromkeys(SIDES, subject.prompt) if subject.prompt else {})}
    default = subject.task_name if subject.prompt else None
    return {"prompts": prompts, "default_prompt_name": default, "similarity_fn_name": "cosine"}
