"""README.md of an exported folder: whose weights these are, which task, which prompt, and how each runtime is asked."""

from __future__ import annotations

from pathlib import Path

from ..config import Quantization
from .formats import ONNX_FILE, OPENVINO_FILE, ROUNDED_ONNX_FILE, ROUNDED_OPENVINO_FILE
from .subject import Subject

LICENCES = {"CC BY-NC 4.0": "cc-by-nc-4.0", "CC BY-SA 4.0": "cc-by-sa-4.0"}
"""The hub's names. What is none of these is `other`."""


def write_card(subject: Subject, folder: Path, file_format: str, quantize: Quantization | None) -> None:
    """Write README.md for people and for the hub."""
    uses = {"onnx": _onnx, "openvino": _openvino, "sentence-transformers": _sentence_transformers}
    parts = [_header(subject), _facts(subject, quantize), _prompt(subject), uses[file_format](subject, quantize)]
    (folder / "README.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _header(subject: Subject) -> str:
    licence = next((name for start, name in LICENCES.items() if subject.encoder.licence.startswith(start)), "other")
    lines = (
        f"license: {licence}",
        "pipeline_tag: feature-extraction",
        "tags: [sentence-transformers, feature-extraction, sentence-similarity, jina-embeddings-v3]",
    )
    return "\n".join(("---", *lines, "---"))


def _facts(subject: Subject, quantize: Quantization | None) -> str:
    encoder = subject.encoder
    rows = {
        "made from": f"{Path(encoder.model_id).name}{f', revision {encoder.revision}' if encoder.revision else ''}",
        "fingerprint": encoder.fingerprint,
        "task": subject.task_name,
        "dimensions": f"{encoder.dimensions}; cut to {', '.join(map(str, encoder.config.matryoshka_dimensions))}, "
        "then normalise again",
        "longest text": f"{encoder.max_tokens} tokens, `<s>`, `</s>` and the prompt included",
        "numbers": "float32, and int8 beside it" if quantize else "float32",
        "licence of the weights": encoder.licence,
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return (
        f"# {Path(encoder.model_id).name}: {subject.task_name}\n\n"
        f"| | |\n|---|---|\n{table}\n\n"
        "Written by `jina-v3 export`. Files made from weights keep the licence of the weights."
    )


def _prompt(subject: Subject) -> str:
    if subject.has_all_tasks:
        listed = "\n".join(
            f"| {number} | {'none: the base model' if task is None else task.value} | "
            f"{_shown(subject.prompts.get(task.value, '') if task else '')} |"
            for number, task in enumerate(subject.tasks)
        )
        return (
            "## Task and prompt\n\n`task_id` holds the task of each text. Put its prompt in front of the text yourself; "
            f"no graph can do that.\n\n| task_id | task | prompt |\n|---|---|---|\n{listed}"
        )
    prompt = next(iter(subject.prompts.values()), "")
    if not prompt:
        return "## Prompt\n\nThis task has none: texts are read as they are."
    return (
        "## Prompt\n\nThis task was trained with an instruction. Put it in front of every text, before tokenising; no "
        f"graph can do that:\n\n    {prompt}\n\nIt ends with a space. Only sentence-transformers adds it by itself."
    )


def _onnx(subject: Subject, quantize: Quantization | None) -> str:
    prompt, file = _python(subject), ROUNDED_ONNX_FILE if quantize else ONNX_FILE
    task = ', "task_id": np.zeros(1, dtype=np.int64)' if subject.has_all_tasks else ""
    first = f"""## onnxruntime

```python
import numpy as np, onnxruntime
from tokenizers import Tokenizer

session = onnxruntime.InferenceSession("{file}")
ids = np.array([Tokenizer.from_file("tokenizer.json").encode({prompt} + "a text").ids])
vectors = session.run(["sentence_embedding"], {{"input_ids": ids, "attention_mask": np.ones_like(ids){task}}})[0]
```

Inputs are int64, (texts, tokens). `last_hidden_state` has the token states, `sentence_embedding` their means,
normalised."""
    if subject.has_all_tasks:
        return first
    dtype = "q8" if quantize else "fp32"
    name = next(iter(subject.prompts), None)
    return f"""{first}

## text-embeddings-inference

    text-embeddings-router --model-id /path/to/this/folder{f" --default-prompt-name {name}" if name else ""}

On a CPU, with its ONNX backend: the others take the model for another architecture. It reads `{ONNX_FILE}`.

## fastembed

```python
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

TextEmbedding.add_custom_model(
    "my/model", pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(hf="my/model"),
    dim={subject.encoder.dimensions}, model_file="{file}",
)
model = TextEmbedding("my/model", specific_model_path="/path/to/this/folder")
vectors = list(model.embed([{prompt} + "a text"]))
```

## Transformers.js

```js
import {{ env, pipeline }} from "@huggingface/transformers";

env.localModelPath = "/path/to/the/folder/above/";
const model = await pipeline("feature-extraction", "name-of-this-folder", {{ dtype: "{dtype}" }});
const vectors = await model([{prompt} + "a text"], {{ pooling: "mean", normalize: true }});
```"""


def _openvino(subject: Subject, quantize: Quantization | None) -> str:
    file = ROUNDED_OPENVINO_FILE if quantize else OPENVINO_FILE
    task = ', "task_id": np.zeros(1, dtype=np.int64)' if subject.has_all_tasks else ""
    return f"""## OpenVINO

```python
import numpy as np, openvino
from tokenizers import Tokenizer

model = openvino.Core().compile_model("{file}", "CPU")
ids = np.array([Tokenizer.from_file("tokenizer.json").encode({_python(subject)} + "a text").ids])
vectors = model({{"input_ids": ids, "attention_mask": np.ones_like(ids){task}}})["sentence_embedding"]
```

Inputs are int64, (texts, tokens). For float32 products on every processor, give `compile_model`
`{{"INFERENCE_PRECISION_HINT": "f32"}}`."""


def _sentence_transformers(subject: Subject, _: Quantization | None) -> str:
    name = next(iter(subject.prompts), None)
    prompts = f'The prompt is added by default; `prompt=""` leaves it out, and `prompt_name="{name}"` names it.'
    return f"""## sentence-transformers

With transformers 5.15 or later, and no remote code:

```python
from sentence_transformers import SentenceTransformer

vectors = SentenceTransformer("/path/to/this/folder").encode(["a text"])
```

{prompts if name else "This task has no prompt, and none is added."}"""


def _python(subject: Subject) -> str:
    """The prompt as a literal of Python and of JavaScript."""
    return "PROMPT" if subject.has_all_tasks else '"' + next(iter(subject.prompts.values()), "") + '"'


def _shown(prompt: str) -> str:
    return f"`{prompt}`" if prompt else ""
