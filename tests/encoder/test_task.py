from __future__ import annotations

from typing import Any

import pytest

from jina_v3_encoder.errors import InvalidInput, UnknownTask
from jina_v3_encoder.task import TASK_NAMES, Task, as_task, as_tasks, offered


def test_names_and_folders() -> None:
    assert TASK_NAMES == ("retrieval.query", "retrieval.passage", "separation", "classification", "text-matching")
    assert [task.folder for task in Task] == [
        "retrieval_query",
        "retrieval_passage",
        "separation",
        "classification",
        "text_matching",
    ]
    assert f"{Task.TEXT_MATCHING}" == "text-matching"


def test_one_task_for_all_or_one_each() -> None:
    assert as_tasks("separation", 2) == [Task.SEPARATION] * 2
    assert as_tasks(None, 2) == [None, None]
    assert as_tasks([None, Task.SEPARATION], 2) == [None, Task.SEPARATION]
    assert as_tasks([], 0) == []


@pytest.mark.parametrize(
    "task", ["retrieval", "Retrieval.query", "", "text_matching", 3, b"separation", ["separation"]]
)
def test_unknown_tasks_list_the_known(task: Any) -> None:
    with pytest.raises(UnknownTask, match=r"retrieval\.query, .*text-matching, or None"):
        as_task(task)


def test_a_task_that_is_no_sequence() -> None:
    with pytest.raises(UnknownTask, match=r"unknown task 7: use one of retrieval\.query"):
        as_tasks(7, 2)  # type: ignore[arg-type]


def test_as_many_tasks_as_texts() -> None:
    with pytest.raises(InvalidInput, match="got 3 tasks for 2 texts"):
        as_tasks([None, None, None], 2)


def test_a_model_without_tasks_takes_none() -> None:
    assert as_task(None, ()) is None
    assert as_tasks([None, None], 2, ()) == [None, None]
    for tasks in ("separation", [None, "separation"], 7):
        with pytest.raises(UnknownTask, match="jina-embeddings-v2 has no tasks; leave task out or pass None, or use"):
            as_tasks(tasks, 2, ())  # type: ignore[arg-type]


def test_what_stands_where_the_caller_chose_nothing() -> None:
    assert offered(Task.RETRIEVAL_QUERY, TASK_NAMES) == "retrieval.query"
    assert type(offered(Task.RETRIEVAL_QUERY, TASK_NAMES)) is str, "contracts hold plain names"
    assert offered(Task.RETRIEVAL_QUERY, ()) is None
