"""The five tasks of jina-embeddings-v3, one LoRA adapter each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import TypeAlias

from .errors import InvalidInput, UnknownTask


class Task(StrEnum):
    """A task adapter. The value is the name that checkpoints and the hosted API use."""

    RETRIEVAL_QUERY = "retrieval.query"
    RETRIEVAL_PASSAGE = "retrieval.passage"
    SEPARATION = "separation"
    CLASSIFICATION = "classification"
    TEXT_MATCHING = "text-matching"

    @property
    def folder(self) -> str:
        """Subfolder of the adapter in the jina-embeddings-v3-hf layout."""
        return self.value.replace(".", "_").replace("-", "_")


TASK_NAMES = tuple(task.value for task in Task)

TaskLike: TypeAlias = Task | str | None
"""One task; None is the base model without adapter or prompt."""


def as_task(task: object, known: tuple[str, ...] = TASK_NAMES) -> Task | None:
    """Validate one task. `known` are the names that the model has; jina-embeddings-v2 has none.

    Raises:
        UnknownTask: `task` is neither None nor one of the known names.
    """
    if task is None:
        return None
    if isinstance(task, str) and task in known:
        return Task(task)
    raise UnknownTask(task, known)


def offered(task: Task, known: Sequence[str]) -> str | None:
    """The task's name for a model that has it, else None: what stands where the caller chose nothing."""
    return task.value if task.value in known else None


AUTO_TASK = "auto"
"""What frameworks save where the user chose no task."""


def chosen(task: str | None, default: Task, known: Sequence[str]) -> str | None:
    """The user's task, known or not. "auto" is `default` for a model that has it, and no task for one that has none."""
    return offered(default, known) if task == AUTO_TASK else task


def as_tasks(
    tasks: TaskLike | Sequence[TaskLike], count: int, known: tuple[str, ...] = TASK_NAMES
) -> list[Task | None]:
    """One validated task per text, from one task for all or a sequence of `count` tasks.

    Raises:
        UnknownTask: a task is not known.
        InvalidInput: the sequence has another length than the texts.
    """
    if tasks is None or isinstance(tasks, str):
        return [as_task(tasks, known)] * count
    if not isinstance(tasks, Iterable):
        raise UnknownTask(tasks, known)
    each = [as_task(task, known) for task in tasks]
    if len(each) != count:
        raise InvalidInput(f"got {len(each)} tasks for {count} texts: pass one task, or one per text")
    return each
