"""What is noted of a request on its way, for its line in the log and the headers of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from starlette.types import Scope

RECORD = "record"
"""Where the scope's state has it."""
TASK_HEADER, NOTE_HEADER = "Jina-V3-Task", "Jina-V3-Note"


@dataclass
class Record:
    """No texts and no keys."""

    models: list[str] = field(default_factory=list)
    """Names of the models that read for it."""
    tasks: list[str] = field(default_factory=list)
    """Their adapters, "none" for the base model."""
    tokens: int = 0
    dimensions: int | None = None
    """Of the vectors that are sent, where they are of one size."""
    notes: list[str] = field(default_factory=list)
    """What was understood otherwise than it was said."""
    code: str = ""
    """Of the refusal, if it was refused."""
    message: str = ""
    has_plain_error: bool = False
    """Whether the client reads an error as a text, and not as OpenAI's object."""

    def read(self, model: str, task: str | None, tokens: int) -> None:
        """So many tokens are read with a task."""
        self.tokens += tokens
        for listed, name in ((self.models, model), (self.tasks, task or "none")):
            if name not in listed:
                listed.append(name)

    def note(self, told: str) -> None:
        """Say once that something was understood otherwise."""
        if told not in self.notes:
            self.notes.append(told)

    def refuse(self, code: str, message: str) -> None:
        """Say why there is no answer."""
        self.code, self.message = code, message

    def headers(self) -> dict[str, str]:
        """What the client may read, too."""
        headers = {TASK_HEADER: ", ".join(self.tasks), NOTE_HEADER: "; ".join(self.notes)}
        return {name: value for name, value in headers.items() if value}


def record_of(scope: Scope) -> Record:
    """The record of a request that came through the gate."""
    record = scope["state"][RECORD]
    assert isinstance(record, Record)
    return record
