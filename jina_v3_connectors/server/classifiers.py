"""Trained classifiers, one file each: weights, and in the file's header what they belong to."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from jina_v3_encoder.vectors import FloatArray

from .errors import ApiError
from .few_shot import first_weights, trained
from .models import CLASSIFYING, Model, Models

logger = logging.getLogger(__name__)
SUFFIX = ".safetensors"
HEADER, WEIGHTS, SUMS, COUNTS = "classifier", "weights", "sums", "counts"
BROKEN = "CONFLICT_RESOURCE_BROKEN"
LOCK, LOCK_SECONDS = ".lock", 30.0
MAX_CLASSIFIERS = 1000
MAX_OF_USER = 100
"""So that one key alone cannot take all of a server's room."""
MAX_LABELS = 256
"""Of one classifier."""


@dataclass(frozen=True)
class Description:
    """What a classifier is, without its weights."""

    classifier_id: str
    user_id: str
    """Made from the key that trained it, which it does not tell."""
    access: str
    model: str
    fingerprint: str
    task: str | None
    labels: Sequence[str]
    created_at: str
    updated_at: str
    updated_number: int


@dataclass(frozen=True)
class Classifier:
    """Softmax regression over unit vectors of a model."""

    description: Description
    weights: FloatArray
    """(labels, dimensions + 1), the bias last."""
    sums: FloatArray
    """(labels, dimensions): of the vectors that each label was learned from. Later training would forget them."""
    counts: FloatArray
    """(labels,): how many these were."""

    def check_model(self, model: Model) -> None:
        """Refuse vectors of another model.

        Raises:
            ApiError: 409, it was trained with one of another fingerprint.
        """
        told = self.description
        if told.fingerprint != model.encoder.fingerprint:
            message = (
                f"classifier {told.classifier_id} was trained with {told.model} of the fingerprint {told.fingerprint}, "
                f"and {model.name} has {model.encoder.fingerprint}: serve the model that trained it, or train again"
            )
            raise ApiError(409, "CONFLICT_OTHER_MODEL", message)

    def model_of(self, models: Models, asked: str | None) -> Model:
        """The model that trained it, of those that are served. `asked` is the one that a request names, if any.

        Raises:
            ApiError: 409, as `check_model`, or the request names another one; it is not served any more.
        """
        model, _ = models.asked(self.description.model)
        self.check_model(model)
        if asked is not None and models.reading_with(CLASSIFYING, asked) is not model:
            told = self.description.classifier_id
            message = f"model: classifier {told} belongs to {model.name}: name that one, or none"
            raise ApiError(409, "CONFLICT_OTHER_MODEL", message)
        return model


class Classifiers:
    """A folder of classifiers. A file is replaced whole, so that a kill leaves the old one or the new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writing = threading.Lock()
        self._used: Counter[str] = Counter()
        self._used_at: dict[str, str] = {}

    def create(self, model: Model, task: str | None, labels: Sequence[str], user: str, access: str) -> Classifier:
        """One that knows its labels and nothing yet; it is not written."""
        now = _now()
        told = Description(
            str(uuid4()), user, access, model.name, model.encoder.fingerprint, task, list(labels), now, now, 0
        )
        return _blank(told, model.encoder.dimensions)

    def get(self, classifier_id: str, user: str) -> Classifier:
        """One that a user may use.

        Raises:
            ApiError: 404, there is none, or it is somebody else's; 409, its file cannot be read.
        """
        try:
            path = self._path(classifier_id)
            classifier = _read(path)
        except FileNotFoundError:
            raise _unknown(classifier_id) from None
        except UNREADABLE as error:
            _log_unreadable(path, error)
            message = f"the file of classifier {classifier_id} cannot be read: delete it and train again"
            raise ApiError(409, BROKEN, message) from None
        if classifier.description.access != "public" and classifier.description.user_id != user:
            raise _unknown(classifier_id)
        return classifier

    def learn(
        self, classifier_id: str | None, fresh: Classifier, vectors: FloatArray, labels: Sequence[str], steps: int
    ) -> Classifier:
        """Train with a vector (n, dimensions) for each label, and write it: `fresh`, or one that is there.

        Raises:
            ApiError: 400, too many labels; 403, too many classifiers; 404, as `get`.
        """
        with self._changed():
            known = fresh if classifier_id is None else self.get(classifier_id, fresh.description.user_id)
            if classifier_id is None:
                self._check_room(fresh.description.user_id)
            names = [*known.description.labels, *dict.fromkeys(labels)]
            names = list(dict.fromkeys(names))
            check_labels(len(names), MAX_LABELS)
            classes = np.array([names.index(label) for label in labels])
            told = asdict(known.description) | {
                "labels": names,
                "updated_at": _now(),
                "updated_number": known.description.updated_number + (classifier_id is not None),
            }
            learned = _taught(known, Description(**told), vectors, classes, steps)
            self._write(learned)
            return learned

    def _check_room(self, user: str) -> None:
        """Raises ApiError: 403, the user or the server has as many as are kept."""
        limit = "AUTHZ_RESOURCE_LIMIT_EXCEEDED"
        if len(self.of_user(user)) >= MAX_OF_USER:
            message = f"{MAX_OF_USER:,} classifiers of one key are kept, which is the limit: delete one"
            raise ApiError(403, limit, message)
        if len(self._files()) >= MAX_CLASSIFIERS:
            message = f"this server keeps {MAX_CLASSIFIERS:,} classifiers, which is the limit: have some deleted"
            raise ApiError(403, limit, message)

    def delete(self, classifier_id: str, user: str) -> None:
        """Remove a user's own, or one that cannot be read.

        Raises:
            ApiError: 404, there is none, or it is somebody else's.
        """
        with self._changed():
            try:
                owner = self.get(classifier_id, user).description.user_id
            except ApiError as error:
                if error.code != BROKEN:
                    raise
                owner = user  # nobody can tell whose it was
            if owner != user:
                raise _unknown(classifier_id)
            self._path(classifier_id).unlink(missing_ok=True)

    def used(self, classifier_id: str) -> None:
        """Count a use. The counts begin with the server."""
        self._used[classifier_id] += 1
        self._used_at[classifier_id] = _now()

    def of_user(self, user: str) -> list[dict[str, Any]]:
        """What the hosted service tells of each of a user's own."""
        rows = []
        for path in self._files():
            try:
                told = _described(path)
            except UNREADABLE as error:
                _log_unreadable(path, error)
                continue
            if told.user_id == user:
                used = {"used_number": self._used[told.classifier_id], "used_at": self._used_at.get(told.classifier_id)}
                rows.append({**asdict(told), **used, "is_active": True, "is_latest": True, "metadata_": {}})
        return rows

    @contextmanager
    def _changed(self) -> Iterator[None]:
        """One writer at a time, of all threads and servers that share the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / LOCK, timeout=LOCK_SECONDS)
        with self._writing:
            try:
                lock.acquire()
            except Timeout:
                message = f"another server has been writing classifiers for {LOCK_SECONDS:g} s: come back later"
                raise ApiError(409, "CONFLICT_RESOURCE_BUSY", message, retry_after=LOCK_SECONDS) from None
            try:
                yield
            finally:
                lock.release()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{SUFFIX}"))

    def _path(self, classifier_id: str) -> Path:
        """Raises FileNotFoundError: it is no id that could have been given, so that it cannot be a path either."""
        try:
            return self._folder / f"{UUID(classifier_id)}{SUFFIX}"
        except ValueError:
            raise FileNotFoundError(classifier_id) from None

    def _write(self, classifier: Classifier) -> None:
        path = self._path(classifier.description.classifier_id)
        partial = path.with_suffix(".partial")
        tensors = {WEIGHTS: classifier.weights, SUMS: classifier.sums, COUNTS: classifier.counts}
        content = save(tensors, {HEADER: json.dumps(asdict(classifier.description))})
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def check_labels(count: int, most: int) -> None:
    """Keep the number of labels within its limit.

    Raises:
        ApiError: 400, there are more.
    """
    if count > most:
        message = f"labels: {count:,} different ones, the limit is {most:,}: use fewer"
        raise ApiError(400, "INPUT_LABEL_LIMIT_EXCEEDED", message)


def _blank(told: Description, size: int) -> Classifier:
    """One that learned from no text."""
    count = len(told.labels)
    weights, sums = np.zeros((count, size + 1), np.float32), np.zeros((count, size), np.float32)
    return Classifier(told, weights, sums, np.zeros(count, np.float32))


def _taught(
    known: Classifier, told: Description, vectors: FloatArray, classes: NDArray[np.intp], steps: int
) -> Classifier:
    """The classifier after more texts. Each label's earlier texts take part by their mean."""
    taught = _blank(told, vectors.shape[1])
    before = len(known.counts)
    taught.sums[:before], taught.counts[:before] = known.sums, known.counts
    (old,) = np.nonzero(taught.counts)
    means = taught.sums[old] / taught.counts[old, None]
    weights = first_weights(vectors, classes, len(told.labels))
    weights[old] = known.weights[old]
    weights = trained(
        weights,
        np.concatenate([vectors, means]),
        np.concatenate([classes, old]),
        np.concatenate([np.ones(len(vectors), np.float32), taught.counts[old]]),
        steps,
    )
    np.add.at(taught.sums, classes, vectors)
    np.add.at(taught.counts, classes, 1)
    return replace(taught, weights=weights)


UNREADABLE = (OSError, ValueError, TypeError, KeyError, SafetensorError)
"""What is raised where a file is no classifier."""


def _log_unreadable(path: Path, error: BaseException) -> None:
    logger.warning("a classifier's file cannot be read: %s (%s)", path, type(error).__name__)


def _described(path: Path) -> Description:
    """What a file tells of its classifier, without its numbers. Raises one of UNREADABLE."""
    if not path.is_file():  # nor a pipe, for which it would wait for ever
        raise FileNotFoundError(path)
    with safe_open(path, "np") as file:
        described = Description(**json.loads((file.metadata() or {})[HEADER]))
    if f"{described.classifier_id}{SUFFIX}" != path.name:
        raise ValueError("it is another's")
    return described


def _read(path: Path) -> Classifier:
    """Raises one of UNREADABLE: it is no classifier."""
    described = _described(path)
    with safe_open(path, "np") as file:
        classifier = Classifier(described, *(file.get_tensor(name) for name in (WEIGHTS, SUMS, COUNTS)))
    blank = _blank(described, classifier.sums.shape[-1])
    for tensor, like in ((getattr(classifier, name), getattr(blank, name)) for name in (WEIGHTS, SUMS, COUNTS)):
        if (tensor.shape, tensor.dtype) != (like.shape, like.dtype) or not np.isfinite(tensor).all():
            raise ValueError("its numbers do not fit its labels, or are none")
    return classifier


def _unknown(classifier_id: str) -> ApiError:
    message = f"classifier {classifier_id[:100]!r} is not found, or access is denied: GET /v1/classifiers lists yours"
    return ApiError(404, "RESOURCE_NOT_FOUND", message)


def _now() -> str:
    return datetime.now(UTC).isoformat()
