"""The models of a server, and the names that a request may call them by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jina_v3_encoder.errors import InvalidInput
from jina_v3_encoder.published import DIMENSIONS, OWNER, OWNERS, V3, is_v2, without_owner
from jina_v3_encoder.task import TASK_NAMES, Task
from jina_v3_encoder.text_encoder import TextEncoder

from .errors import ApiError

OLDER = (
    "Vectors of v2 cannot be compared with those of v3: ask for v3, encode the stored texts anew with "
    "retrieval.passage into a new collection, and questions with retrieval.query"
)
GIVEN_NAME = re.compile(r"[\w./-]{1,100}")
"""What a name of the user's own may be. It has no colon, since a task may follow one."""
SHOWN = 100
"""Characters of a wrong name that are sent back."""
CLASSIFYING = (Task.CLASSIFICATION.value,)
RERANKING = (Task.RETRIEVAL_QUERY.value, Task.RETRIEVAL_PASSAGE.value)
"""What an address reads with that has tasks of its own."""
RELEASED = 1726617600
"""2024-09-18, in seconds of the epoch."""


@dataclass(frozen=True, eq=False)
class Model:
    """A model that is served."""

    name: str
    """The one that answers and lists tell."""
    encoder: TextEncoder
    aliases: frozenset[str] = frozenset()
    """Other names that requests may use."""
    served_names: tuple[str, ...] = ()
    """Those among them that the user gave, for clients that can ask for nothing else."""

    def checked_task(self, name: str | None) -> str | None:
        """The task that a request names, or none.

        Raises:
            ApiError: the model has no tasks.
        """
        if name is not None and not self.encoder.tasks:
            raise ApiError(422, "VALIDATION_ERROR", f"{self.name} has no tasks: leave task out, or use {V3}")
        return name

    def pattern(self, tasks: Sequence[str] | None = None) -> str:
        """Names of it as a regular expression, alone or with one of `tasks`, for the description of the interface."""
        owner = f"({'|'.join(OWNERS)})?" if self.name in DIMENSIONS else ""
        names = "|".join([f"{owner}{_escaped(self.name)}", *map(_escaped, self.served_names)])
        named = [task for task in self.encoder.tasks if tasks is None or task in tasks]
        ending = f"(:({'|'.join(map(_escaped, named))}))?" if named else ""
        return f"({names}){ending}" if self.served_names else f"{names}{ending}"


class Models:
    """All models of a server, in the order in which they were given."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = tuple(models)
        self.default = self._models[0]
        self._by_name = {alias: model for model in reversed(self._models) for alias in model.aliases}
        self._by_name |= {model.name: model for model in self._models}

    def __iter__(self) -> Iterator[Model]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @classmethod
    def of(
        cls, encoders: Sequence[TextEncoder], given_names: Sequence[str | None] = (), served_names: Sequence[str] = ()
    ) -> Models:
        """Encoders under the names that were given for them, and otherwise under their own.

        The only model with tasks that was given no name is called jina-embeddings-v3, unless another one is.
        `served_names` are more names of the first.

        Raises:
            InvalidInput: two have the same name.
        """
        given = given_names or [None] * len(encoders)
        names = [name or name_of(encoder.model_id) for encoder, name in zip(encoders, given, strict=True)]
        check_names([*names, *served_names])
        like_v3 = [encoder for encoder, name in zip(encoders, given, strict=True) if encoder.tasks and name is None]
        models: list[Model] = []
        for encoder, given_name, name in zip(encoders, given, names, strict=True):
            told = V3 if V3 not in names and like_v3 == [encoder] else name
            aliases = {name, *(f"{owner}{told}" for owner in OWNERS if told in DIMENSIONS)}
            if given_name is None:
                aliases.add(encoder.model_id)
            more = tuple(name for name in served_names if name != told) if not models else ()
            models.append(Model(told, encoder, frozenset({*aliases, *more} - {told}), more))
        return cls(models)

    def reading_with(self, tasks: Sequence[str], name: str | None) -> Model:
        """As `asked`, for an address that has these tasks of its own.

        Raises:
            ApiError: as `asked`; or the name ends in another task.
        """
        model, task = self.asked(name)
        if task is not None and task not in tasks:
            known = " and ".join(tasks)
            message = f"model: this address reads with {known}, and {name!r} names another: leave {':' + task!r} out"
            raise ApiError(422, "VALIDATION_ERROR", message)
        return model

    def asked(self, name: str | None) -> tuple[Model, str | None]:
        """The model that a request names, or the only one, and the task that the name ends in, if any.

        Raises:
            ApiError: another model, no task at the end, a task of a model without tasks, or no name among several.
        """
        if name is None:
            if len(self) > 1:
                names = ", ".join(model.name for model in self)
                raise ApiError(
                    422, "VALIDATION_ERROR", f"model: it is missing, and several are served: name one of {names}"
                )
            return self.default, None
        if model := self._by_name.get(name):
            return model, None
        base, _, task = name.rpartition(":")
        model = self._by_name.get(base)
        if model is None or task not in TASK_NAMES:
            raise ApiError(400, "INPUT_MODEL_NOT_FOUND", self._not_served(name))
        return model, model.checked_task(task)

    def named(self, name: str | None) -> Model | None:
        """The model of a name without a task, None if there is none."""
        return None if name is None else self._by_name.get(name)

    def rows(self) -> list[dict[str, Any]]:
        """All names that are told, for both OpenAI's clients and the hosted service's."""
        return [described(name, model) for model in self for name in (*names_told(model), *model.served_names)]

    def _not_served(self, name: str) -> str:
        names = ", ".join(name for model in self for name in (model.name, *model.served_names))
        with_tasks = [model.name for model in self if model.encoder.tasks]
        told = names if "," not in names else f"one of {names}"
        if with_tasks:
            told += f", or {with_tasks[0]}:TASK with one of {', '.join(TASK_NAMES)}"
        message = f"model {name[:SHOWN]!r} is not served here: use {told}"
        if name.rpartition(":")[0] in self._by_name:  # only its end is wrong
            return message
        bare = without_owner(name)
        source = f"{OWNER}{bare}" if bare in DIMENSIONS else "NAME=FOLDER"
        message += (
            f". To serve it too, add it where the server is started: jina-v3 serve … --model {source}; for a client "
            f"that can ask for no other name, --served-name {bare[:SHOWN]}"
        )
        return f"{message}. {OLDER}" if is_v2(name) and with_tasks else message


def name_of(model_id: str) -> str:
    """The name of a model that was given none: the last part of a folder or a hub id."""
    return Path(model_id).absolute().name or model_id


def check_names(names: Sequence[str]) -> None:
    """Keep models apart.

    Raises:
        InvalidInput: two have the same name.
    """
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(
                f"two models are called {name[:SHOWN]!r}: give one a name of its own, --model NAME=FOLDER"
            )


def check_given_name(name: str, option: str) -> None:
    """Raises InvalidInput: it could not stand in a request or an address."""
    if not GIVEN_NAME.fullmatch(name):
        raise InvalidInput(
            f"{option}: a name has at most 100 letters, digits and the signs . _ - /, as in --model my-model=./folder"
        )


def names_told(model: Model) -> list[str]:
    """The name, and the name with each task, for clients that can name one only so."""
    return [model.name, *(f"{model.name}:{task}" for task in model.encoder.tasks)]


def _escaped(name: str) -> str:
    """For a regular expression of any dialect, of which some know no escaped hyphen."""
    return re.escape(name).replace("\\-", "-")


def described(name: str, model: Model) -> dict[str, Any]:
    """A name as clients read it, with the fingerprint that contracts need."""
    encoder = model.encoder
    return {
        "id": name,
        "object": "model",
        "created": RELEASED,
        "owned_by": "jinaai",
        "name": name,
        "description": f"{model.name} on this machine",
        "hugging_face_id": f"{OWNER}{model.name}" if model.name in DIMENSIONS else encoder.model_id,
        "context_length": encoder.max_tokens,
        "max_output_length": encoder.dimensions,
        "can_be_shortened": encoder.info.can_be_shortened,
        "tasks": list(encoder.tasks),
        "input_modalities": ["text"],
        "output_modalities": ["embeddings"],
        "quantization": encoder.info.quantization or "",
        "supported_features": [],
        "supported_sampling_parameters": [],
        "datacenters": [],
        "pricing": dict.fromkeys(
            ("prompt", "completion", "image", "request", "input_cache_read", "input_cache_write"), "0"
        ),
        "loaded": {
            "model": encoder.model_id,
            "revision": encoder.revision,
            "fingerprint": encoder.fingerprint,
            "late_chunking_window": encoder.info.late_chunking_window,
        },
    }
