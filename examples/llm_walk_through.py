"""`llm` from the shell, here through its own command: embed notes as passages, ask them a question. Extra: llm.

Run: python examples/llm_walk_through.py
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

NOTES = {
    "shed.md": "The key to the garden shed hangs behind the kitchen door.",
    "bread.md": "Bread dough rises for two hours in a warm place.",
    "fahrrad.md": "Das Fahrradschloß öffnet sich mit der Zahl 4711.",
}


def llm(*arguments: str) -> str:
    print("$ llm", " ".join(arguments))
    command = [sys.executable, "-m", "llm", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own words


with tempfile.TemporaryDirectory() as folder:
    os.environ |= {"LLM_USER_PATH": folder, "JINA_V3_MODEL": "nano"}
    for name, text in NOTES.items():
        Path(folder, name).write_text(text, encoding="utf-8")
    # without --encoding, llm reads "öffnet" as Latin-1 and stores "Ã¶ffnet"
    llm(
        "embed-multi", "notes", "--files", folder, "*.md", "-m", "jina-v3-passage-128", "--store", "--encoding", "utf-8"
    )
    for question in ("Where is the key?", "Wie öffne ich das Fahrradschloß?"):
        print(llm("jina-v3", "notes", question, "-n", "1"))
