"""What `make test-fast` leaves out: servers, other libraries, kills, browsers, processes, training, large models.

`LONG` is what `make test` leaves to `make test-servers`, which takes all that is long. By path and parameter, in lists,
so that a file is moved in or out without being touched. What stays checks the rules of the project on small models
and embedded stores.
"""

from __future__ import annotations

import re

import pytest

OTHERS = r"\[(.*-)?(memory|http|lite|tcp|server|documents|vectors|milvus|pinecone|postgres)\b"
"""A test of many backends, on any but the embedded one."""
SLOW = re.compile(
    "|".join(
        (
            "tests/bench/",
            "tests/benchmarks/",
            "tests/cli/(?!test_main|test_options|test_tables)",
            "tests/connectors/.*" + OTHERS,
            "tests/connectors/chunking/test_splitter.py::test_a_text_without_any_break",
            "tests/connectors/ingestion/test_(kills|stops)",
            "tests/connectors/(milvus|pinecone)/",
            "tests/connectors/qdrant/test_server",
            "tests/connectors/qdrant/test_embedded.py::test_(killed|documents_are_taken)",
            "tests/connectors/test_(adoption|disk|failures|foreign|filter_meanings|shared_encoders)",
            "tests/demo/",
            "tests/docker/",
            "tests/encoder/checkpoints/test_weights",
            "tests/encoder/checkpoints/test_save.py::test_transformers",
            "tests/encoder/export/",
            "tests/encoder/network/test_(late_document|quantize)",
            "tests/encoder/network/test_jina_bert.py::test_memory",
            "tests/encoder/test_(imports|nano|pickling|pool|remote|workers)",
            "tests/encoder/test_jina_bert.py::test_copies",
            "tests/evaluation/test_mteb_model",
            "tests/examples/",
            "tests/haystack/",
            "tests/llama_index/",
            "tests/llm_cli/",
            "tests/migration/(?!test_(html|layouts|nearest|questions|ranking))",
            "tests/nano/",
            "tests/parity/",
            "tests/server/(?!test_answers|test_jobs|test_metrics|test_models|test_settings)",
            "tests/training/",
        )
    )
)

LONG = re.compile(
    "|".join(
        (
            "tests/benchmarks/test_(attack|load)",
            "tests/connectors/chunking/test_promise.py::test_one_line_of_a_megabyte",
            "tests/connectors/test_failures.py::.*timeouts",
            r"tests/connectors/test_backends.py::test_a_dropped_collection_is_gone.*\[(vectors|documents)\]",
            "tests/connectors/postgres/test_postgres.py::test_(a_statement_that_takes_too_long|too_many_connections)",
            r"tests/server/test_interface.py::.*\[2\]",
            r"tests/parity/test_transformers.py::test_long_texts_at_full_width\[8192\]",
        )
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for test in items:
        if SLOW.match(test.nodeid):
            test.add_marker("slow")
        if LONG.match(test.nodeid):
            test.add_marker("servers")
