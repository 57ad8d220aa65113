"""What a folder is made of: a model, and one of its tasks, none, or all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from ..architecture import AnyConfig
from ..encoder import Encoder
from ..errors import InvalidInput
from ..network.jina_bert import JinaBertModel
from ..network.jina_v3 import JinaV3Model
from ..network.padded import PaddedNetwork
from ..network.padded_jina_bert import PaddedJinaBert
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
        if task == ALL_TASKS and encoder.tasks:
            return cls(encoder, (*(Task(name) for name in encoder.tasks), None))
        return cls(encoder, (as_task(task, encoder.tasks),))

    @property
    def config(self) -> AnyConfig:
        return self.encoder.config

    def merged(self) -> tuple[JinaV3Model, int | None]:
        """The network, and the adapter to merge into its weights.

        Raises:
            InvalidInput: all tasks, or another network than that of jina-embeddings-v3.
        """
        model = self.encoder.engine.model
        if not isinstance(model, JinaV3Model):
            raise InvalidInput(
                f"sentence-transformers reads jina-embeddings-v2 through transformers, which has no class for it: "
                f"export {self.encoder.model_id} as onnx or openvino"
            )
        if self.has_all_tasks:
            raise InvalidInput(
                "sentence-transformers has no input for the task: export one folder for each, or save all adapters "
                "with Encoder.save_pretrained(folder, layout='hf')"
            )
        return model, self.bank

    @property
    def has_all_tasks(self) -> bool:
        return len(self.tasks) > 1

    @property
    def bank(self) -> int | None:
        """The adapter to merge."""
        (task,) = self.tasks[:1]
        return None if task is None or self.has_all_tasks else self.config.bank(task)

    @property
    def task_name(self) -> str:
        if self.has_all_tasks:
            return ALL_TASKS
        return "none" if self.tasks[0] is None else self.tasks[0].value

    @property
    def prompts(self) -> Mapping[str, str]:
        """The tasks' instructions by the name of the task, where there is one."""
        prompts = {task.value: self.config.prompt(task) for task in self.tasks if task is not None}
        return {name: prompt for name, prompt in prompts.items() if prompt}

    @property
    def prompt(self) -> str:
        """What the one task puts in front of a text; empty where it has nothing, or where there are all tasks."""
        return "" if self.has_all_tasks else self.config.prompt(self.tasks[0])

    def network(self) -> nn.Module:
        """The forward pass to export. That of each architecture has the same inputs and outputs."""
        model = self.encoder.engine.model
        if isinstance(model, JinaBertModel):
            return PaddedJinaBert(model)
        if not isinstance(model, JinaV3Model):
            raise AssertionError(f"no padded forward of {type(model).__name__}")
        return PaddedNetwork(model, self.bank, all_tasks=self.has_all_tasks)
