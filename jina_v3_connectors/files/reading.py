"""The process that reads files of other people's formats: started by `reader.py`, one file at a time.

What reads PDF and HTML is native code, and a hostile file may crash it, keep it busy for ever or fill the memory. All
that ends here then, and not in the ingest.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import DocumentError
from .content import Content

MAX_MEMORY_BYTES = 4 * 2**30
MAX_HTML_BYTES = 64 * 2**20


def content_of(file: Path, charset: str | None = None) -> Content:
    """The content of a file, by its suffix. `charset` is what a server said of it.

    Raises:
        DocumentError: it cannot be read; the message does not name the file.
    """
    match file.suffix.lower():
        case ".pdf":
            from .pdf import read_pdf

            return read_pdf(file)
        case ".docx":
            from .docx import read_docx

            return read_docx(file)
        case ".pptx":
            from .pptx import read_pptx

            return read_pptx(file)
        case ".epub":
            from .epub import read_epub

            return read_epub(file)
        case _:
            return _html(file, charset)


def _html(file: Path, charset: str | None) -> Content:
    from .html import decoded, read_html, without_empty_elements

    size = file.stat().st_size
    if size > MAX_HTML_BYTES:
        raise DocumentError(f"has {size:,} bytes, {MAX_HTML_BYTES:,} are read of a page at most: split it")
    markup = decoded(file.read_bytes(), charset)
    return read_html(without_empty_elements(markup) if file.suffix.lower() == ".xhtml" else markup)


def answer(request: dict[str, Any], read: Callable[[Path, str | None], Content] = content_of) -> dict[str, Any]:
    """What is sent back: the content, or what is wrong. Whatever goes wrong in a library is the file's fault."""
    try:
        content = read(Path(request["file"]), request["charset"])
    except (DocumentError, OSError) as error:
        return {"error": f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)}
    except MemoryError:
        return {"error": f"takes over {MAX_MEMORY_BYTES // 2**30} GiB of memory to read: split it"}
    except RecursionError:
        return {"error": "is nested too deeply to be read: save it again with another program"}
    except Exception as error:
        return {"error": f"cannot be read ({type(error).__name__}: {error!s:.200}): save it again"}
    marks = [(mark.start, mark.metadata) for mark in content.marks]
    return {"text": content.text, "marks": marks, "metadata": content.metadata, "remark": content.remark}


def main() -> None:
    """Answer each line of standard input with a line of standard output, both JSON, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the ingest, which ends this process
    _limit_memory()
    output, sys.stdout = sys.stdout, sys.stderr  # nothing that a library prints is an answer
    for line in sys.stdin:
        output.write(json.dumps(answer(json.loads(line))) + "\n")
        output.flush()


def _limit_memory() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        return  # Windows has no such limit, and macOS does not keep it


if __name__ == "__main__":
    main()
