"""The models that a server serves, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jina_v3_encoder.errors import InvalidInput

from .options import DEFAULT_MODEL, ModelChoice
from .serve_access import SHOWN

if TYPE_CHECKING:
    from ..server import Models


class Source(NamedTuple):
    """Where a model comes from."""

    name: str | None
    """The one that was given for it."""
    model: str


def model_source(text: str) -> Source:
    """Read a value of --model. A folder that has `=` in its name is a folder.

    Raises:
        InvalidInput: an impossible name, or nothing after it.
    """
    from ..server.models import check_given_name

    name, equals, model = text.partition("=")
    if not equals or Path(text).is_dir():
        return Source(None, text)
    check_given_name(name, f"--model {text[:SHOWN]}")
    if not model:
        raise InvalidInput(f"--model {text}: a folder, a hub id or {DEFAULT_MODEL} is missing after the name")
    return Source(name, model)


def check_sources(sources: Sequence[Source], choice: ModelChoice, served_names: Sequence[str]) -> None:
    """See what is wrong before anything is loaded.

    Raises:
        InvalidInput: two models of one name, an impossible name, or a revision that could belong to several.
    """
    from ..server.models import check_given_name, check_names, name_of

    for name in served_names:
        check_given_name(name, f"--served-name {name[:SHOWN]}")
    check_names([*(source.name or name_of(source.model) for source in sources), *served_names])
    if len(sources) > 1 and choice.revision is not None:
        raise InvalidInput(
            f"--revision {choice.revision} belongs to one model, and {len(sources)} are given: download that revision "
            "into a folder and name the folder"
        )


def load(sources: Sequence[Source], choice: ModelChoice, served_names: Sequence[str]) -> Models:
    """All models, one after the other, with the same options."""
    from ..server import Models

    encoders = [choice.load(source.model) for source in sources]
    return Models.of(encoders, [source.name for source in sources], served_names)
