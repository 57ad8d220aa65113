"""Options and values that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.task import TASK_NAMES, Task, offered

from ..shared_encoders import tokenizer_of

if TYPE_CHECKING:
    from jina_v3_encoder import Encoder
    from jina_v3_encoder.config import Quantization
    from jina_v3_encoder.text_encoder import TextEncoder

MODEL_VARIABLE = "JINA_V3_MODEL"
URL_VARIABLE = "JINA_V3_ENCODER"
DEVICE_VARIABLE = "JINA_V3_DEVICE"
DEFAULT_MODEL = "nano"
NO_TASK = "none"

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True)
class ModelChoice:
    """The encoder that the options name."""

    model: str | None = None
    revision: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    quantize: Quantization | None = None
    threads: int | None = None
    url: str | None = field(default=None, repr=False)

    @property
    def names_nothing(self) -> bool:
        """Whether it leaves it open which model it is."""
        return self.model is None and self.url is None

    def load(self, model: str | None = None, revision: str | None = None, *, download: bool = True) -> Encoder:
        """The encoder on this machine. `model` and `revision` are used if the options name no model."""
        from jina_v3_encoder import Encoder

        return Encoder.from_pretrained(
            self.model or model or DEFAULT_MODEL,
            revision=self.revision or revision,
            device=self.device,
            dtype=self.dtype,
            quantize=self.quantize,
            threads=self.threads,
            download=download,
        )

    def tokenizer_file(self) -> Path:
        """The tokenizer.json that measures chunks, as `tokenizer_of`. No weights are read for it."""
        from jina_v3_encoder.checkpoints.checkpoint import find_checkpoint

        if self.url is not None:
            return tokenizer_of(self.text_encoder())
        return find_checkpoint(self.model or DEFAULT_MODEL, self.revision).tokenizer_file

    def arguments(self) -> list[str]:
        """The options that give another process the same encoder."""
        model_options = {"model": self.model or DEFAULT_MODEL, "revision": self.revision, "quantize": self.quantize}
        values = {**model_options, "device": self.device, "dtype": self.dtype, "threads": self.threads}
        return [part for name, value in values.items() if value is not None for part in (f"--{name}", str(value))]

    def text_encoder(
        self, model: str | None = None, revision: str | None = None, *, download: bool = True
    ) -> TextEncoder:
        """As `load`, or the server that --encoder names."""
        if self.url is None:
            return self.load(model, revision, download=download)
        from jina_v3_encoder.remote import RemoteEncoder

        if self.model is not None:
            raise InvalidInput(
                "pass --encoder or --model, not both: the server has its own models, and --encoder URL#NAME names one"
            )
        return RemoteEncoder(self.url)


MODEL_FORMS = f"Folder, hub id such as jinaai/jina-embeddings-v3, or {DEFAULT_MODEL}: the small bundled model."
MODEL_OPTION = click.option("--model", envvar=MODEL_VARIABLE, show_envvar=True, help=MODEL_FORMS)
LOADING_OPTIONS = (
    click.option("--revision", help="Branch, tag or commit of a hub model."),
    click.option(
        "--device",
        envvar=DEVICE_VARIABLE,
        default="auto",
        show_default=True,
        show_envvar=True,
        help="auto, cpu, cuda, cuda:1 …",
    ),
    click.option("--dtype", default="auto", show_default=True, help="auto, float32, bfloat16 or float16."),
    click.option("--quantize", type=click.Choice(["int8"]), help="int8: half the memory; `info` says if faster here."),
    click.option(
        "--threads", type=click.IntRange(min=1), help="Computing threads on the CPU.  [default: the cores granted here]"
    ),
)
READINGS = {"read_late": True, "read_blend": "blend", "read_alone": False}
"""What each flag says of late chunking."""
LATE_OPTIONS = (
    click.option(
        "--late-chunking",
        "read_late",
        is_flag=True,
        help="Read each document as a whole, then pool its chunks: each vector depends on its context.",
    ),
    click.option(
        "--blend",
        "read_blend",
        is_flag=True,
        help="Late chunking added to the vectors of the chunk alone and its neighbours: twice the time, better hits.",
    ),
    click.option(
        "--no-late-chunking",
        "read_alone",
        is_flag=True,
        help="Read each chunk on its own. The default of these three is that of the collection there is, or this.",
    ),
    click.option(
        "--window", type=int, help="Tokens read at once in late chunking; default the model's own, 1024 in a blend."
    ),
    click.option(
        "--overlap",
        type=int,
        help="Tokens shared by neighbouring windows; default 512, at most half; 0 in a blend or a model's own window.",
    ),
)
URL_OPTION = click.option(
    "--encoder",
    "url",
    metavar="URL",
    envvar=URL_VARIABLE,
    show_envvar=True,
    help="A server of vectors in place of --model, as http://127.0.0.1:8080, or URL#NAME for one of its models; a key "
    "comes from $JINA_V3_API_KEY.",
)


def model_options(function: _F) -> _F:
    """--model, --revision, --device, --dtype, --quantize, --threads; the command gets them as `choice`."""
    return _collected(function, (MODEL_OPTION, *LOADING_OPTIONS))


def loading_options(function: _F) -> _F:
    """As `model_options`, without --model: for a command that loads several models with the same options."""
    return _collected(function, LOADING_OPTIONS)


def encoder_options(function: _F) -> _F:
    """As `model_options`, and --encoder."""
    return _collected(function, (MODEL_OPTION, *LOADING_OPTIONS, URL_OPTION))


def late_options(function: _F) -> _F:
    """--late-chunking, --blend, --no-late-chunking, which the command gets as `late_chunking`; --window, --overlap."""

    @wraps(function)
    def command(**values: Any) -> Any:
        given = [name for name in READINGS if values.pop(name)]
        if len(given) > 1:
            raise click.UsageError(
                "--late-chunking, --blend and --no-late-chunking contradict each other: give one of them"
            )
        return function(late_chunking=READINGS[given[0]] if given else None, **values)

    for option in reversed(LATE_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def _collected(function: _F, options: Sequence[Callable[[Any], Any]]) -> _F:
    @wraps(function)
    def command(**values: Any) -> Any:
        choices = {
            option_field.name: values.pop(option_field.name)
            for option_field in fields(ModelChoice)
            if option_field.name in values
        }
        return function(choice=ModelChoice(**choices), **values)

    for option in reversed(options):
        command = option(command)
    return command  # type: ignore[return-value]


def task_option(default: str) -> Callable[[_F], _F]:
    choices = click.Choice([*TASK_NAMES, NO_TASK])
    return click.option("--task", type=choices, default=default, show_default=True, help="Adapter and prompt.")


def default_task_option(name: str, default: Task, **attributes: Any) -> Callable[[_F], _F]:
    """A task that may be left out, for `task_or_default`."""
    shown = f"{default}; {NO_TASK} where the model has no tasks"
    return click.option(name, type=click.Choice([*TASK_NAMES, NO_TASK]), show_default=shown, **attributes)


def task_or_default(task: str | None, default: Task, encoder: TextEncoder) -> str | None:
    """The caller's task. If it was left out, the default for a model that has it, else None."""
    return offered(default, encoder.tasks) if task is None else as_task_name(task)


def as_task_name(task: str) -> str | None:
    return None if task == NO_TASK else task
