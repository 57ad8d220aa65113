"""README.md of an exported folder: whose weights these are, which task, which prompt, and how each runtime is asked."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template

from ..config import Quantization
from ..encoder import Encoder
from .formats import ONNX_FILE, OPENVINO_FILE, ROUNDED_ONNX_FILE, ROUNDED_OPENVINO_FILE, ExportFormat
from .subject import Subject

LICENCES = {"CC BY-NC 4.0": "cc-by-nc-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0", "Apache-2.0": "apache-2.0"}
"""The hub's names. What is none of these is `other`."""

HEAD = Template("""\
---
license: $hub_licence
pipeline_tag: feature-extraction
tags: [sentence-transformers, feature-extraction, sentence-similarity, $family]
---

# $name: $task

| | |
|---|---|
| made from | $name$revision |
| fingerprint | $fingerprint |
| task | $task |
| dimensions | $dimensions; $slices |
| longest text | $max_tokens tokens, special ones and the prompt included |
| numbers | $numbers |
| licence of the weights | $licence |

Written by `jina-v3 export`. Files made from weights keep the licence of the weights.""")

PROMPT = Template("""\
## Prompt

This task was trained with an instruction. Put it in front of every text, before tokenising; no graph can do that:

    $prompt

It ends with a space. Only sentence-transformers adds it by itself.""")

NO_PROMPT = """\
## Prompt

There is none: texts are read as they are."""

TASKS = Template("""\
## Task and prompt

`task_id` holds the task of each text. Put its prompt in front of the text yourself; no graph can do that.

| task_id | task | prompt |
|---|---|---|
$rows""")

ONNXRUNTIME = Template("""\
## onnxruntime

```python
import numpy as np, onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession("$file")
ids = np.array([Tokenizer.from_file("tokenizer.json").encode($literal + "a text").ids])
inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)$task_id}
vectors = session.run(["sentence_embedding"], inputs)[0]
```

Inputs are int64, (texts, tokens). `last_hidden_state` has the token states, `sentence_embedding` their means,
normalised.""")

OTHERS_WITH_ONNX = Template("""\
## text-embeddings-inference

    text-embeddings-router --model-id /path/to/this/folder$default_prompt

On a CPU, with its ONNX backend: the others take the model for another architecture. It reads `$exact_file`.

## fastembed

```python
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

TextEmbedding.add_custom_model(
    "my/model", pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(hf="my/model"),
    dim=$dimensions, model_file="$file",
)
model = TextEmbedding("my/model", specific_model_path="/path/to/this/folder")
vectors = list(model.embed([$literal + "a text"]))
```

## Transformers.js

```js
import { env, pipeline } from "@huggingface/transformers";

env.localModelPath = "/path/to/the/folder/above/";
const model = await pipeline("feature-extraction", "name-of-this-folder", { dtype: "$dtype" });
const vectors = await model([$literal + "a text"], { pooling: "mean", normalize: true });
```""")

OPENVINO = Template("""\
## OpenVINO

```python
import numpy as np, openvino
from tokenizers import Tokenizer

settings = {"INFERENCE_PRECISION_HINT": "f32"}  # else it computes in bfloat16 where the processor can
model = openvino.Core().compile_model("$file", "CPU", settings)
ids = np.array([Tokenizer.from_file("tokenizer.json").encode($literal + "a text").ids])
vectors = model({"input_ids": ids, "attention_mask": np.ones_like(ids)$task_id})["sentence_embedding"]
```

Inputs are int64, (texts, tokens).""")

SENTENCE_TRANSFORMERS = Template("""\
## sentence-transformers

With transformers 5.15 or later, and no remote code:

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer("/path/to/this/folder").encode(["a text"])
```

$added""")


def write_card(subject: Subject, folder: Path, file_format: ExportFormat, quantize: Quantization | None) -> None:
    """Write README.md for people and for the hub."""
    parts = [_head(subject, quantize), _prompt(subject), *_uses(subject, file_format, quantize)]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _head(subject: Subject, quantize: Quantization | None) -> str:
    encoder = subject.encoder
    return HEAD.substitute(
        hub_licence=next((name for start, name in LICENCES.items() if encoder.licence.startswith(start)), "other"),
        name=Path(encoder.model_id).name,
        revision=f", revision {encoder.revision}" if encoder.revision else "",
        fingerprint=encoder.fingerprint,
        task=subject.task_name,
        dimensions=encoder.dimensions,
        family="jina-embeddings-v3" if encoder.tasks else "jina-embeddings-v2",
        slices=_slices(encoder),
        max_tokens=encoder.max_tokens,
        numbers="float32, and int8 beside it" if quantize else "float32",
        licence=encoder.licence,
    )


def _slices(encoder: Encoder) -> str:
    if not encoder.info.can_be_shortened:
        return "they cannot be cut"
    return f"cut to {', '.join(map(str, encoder.info.trained_dimensions))}, then normalise again"


def _prompt(subject: Subject) -> str:
    if not subject.has_all_tasks:
        return PROMPT.substitute(prompt=subject.prompt) if subject.prompt else NO_PROMPT
    rows = []
    for number, task in enumerate(subject.tasks):
        name = "none: the base model" if task is None else task.value
        prompt = subject.prompts.get(name)
        rows.append(f"| {number} | {name} | {f'`{prompt}`' if prompt else ''} |")
    return TASKS.substitute(rows="\n".join(rows))


def _uses(subject: Subject, file_format: ExportFormat, quantize: Quantization | None) -> list[str]:
    name = next(iter(subject.prompts), "")
    if file_format == "sentence-transformers":
        added = f'The prompt is added by default; `prompt=""` leaves it out, `prompt_name="{name}"` names it.'
        return [
            SENTENCE_TRANSFORMERS.substitute(added=added if name else "This task has no prompt, and none is added.")
        ]
    exact_file, rounded_file = (
        (OPENVINO_FILE, ROUNDED_OPENVINO_FILE) if file_format == "openvino" else (ONNX_FILE, ROUNDED_ONNX_FILE)
    )
    values = {
        "file": rounded_file if quantize else exact_file,
        "exact_file": exact_file,
        "literal": json.dumps(subject.prompt, ensure_ascii=False),
        "task_id": ', "task_id": np.zeros(1, dtype=np.int64)' if subject.has_all_tasks else "",
        "dimensions": subject.encoder.dimensions,
        "dtype": "q8" if quantize else "fp32",
        "default_prompt": f" --default-prompt-name {name}" if name else "",
    }
    if file_format == "openvino":
        return [OPENVINO.substitute(values)]
    others = [] if subject.has_all_tasks else [OTHERS_WITH_ONNX.substitute(values)]
    return [ONNXRUNTIME.substitute(values), *others]
