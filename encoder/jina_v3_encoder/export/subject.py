"""What a folder is made of: a model, and one of its tasks, none, or all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..encoder import Encoder
from ..errors import InvalidInput
from ..network.padded import PaddedNetwork
from ..task import Task, TaskLike, as_task
from .formats import ALL_TASKS, AllTasks


@dataclass(frozen=True)
class Subject:
    """A model in float32, and the tasks that its files compute."""

    encoder: Encoder
    tasks: tuple[Task | None, ...]
    """One, or all of them and None."""

    @classmethod
    def of(cls, encoder: Encoder, task: TaskLike | AllTasks) -> Subject:
        """Check the arguments.

        Raises:
            InvalidInput: unknown task, or an encoder with rounded weights.
        """
        if encoder.quantization:
            raise InvalidInput(
                "the encoder's weights are rounded to int8: load it without quantize, from the checkpoint that was "
                "rounded; quantize='int8' of the export rounds again, in the way that the runtime multiplies"
            )
        if str(encoder.dtype) != "torch.float32":
            raise InvalidInput(
                f"the encoder is in {encoder.info.dtype}, and adapters are merged in float32: load it with "
                "dtype='float32'"
            )
        if task == ALL_TASKS:
            return cls(encoder, (*(Task(name) for name in encoder.config.lora_adaptations), None))
        return cls(encoder, (as_task(task),))

    @property
    def has_all_tasks(self) -> bool:
        return len(self.tasks) > 1

    @property
    def bank(self) -> int | None:
        """The adapter to merge."""
        (task,) = self.tasks[:1]
        return None if task is None or self.has_all_tasks else self.encoder.config.bank(task)

    @property
    def task_name(self) -> str:
        if self.has_all_tasks:
            return ALL_TASKS
        return "none" if self.tasks[0] is None else self.tasks[0].value

    @property
    def prompts(self) -> Mapping[str, str]:
        """The tasks' instructions by the name of the task, where there is one."""
        prompts = {task.value: self.encoder.config.prompt(task) for task in self.tasks if task is not None}
        return {name: prompt for name, prompt in prompts.items() if prompt}

    @property
    def prompt(self) -> str:
        """What the one task puts in front of a text; empty where it has nothing, or where there are all tasks."""
        return "" if self.has_all_tasks else self.encoder.config.prompt(self.tasks[0])

    def network(self) -> PaddedNetwork:
        """The forward pass to export. A model of another architecture has its own, with the same inputs and outputs."""
        return PaddedNetwork(self.encoder.engine.model, self.bank, all_tasks=self.has_all_tasks)
