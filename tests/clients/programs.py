"""Other projects' Python clients, each asked for vectors as its own documentation shows. Run with their environment.

`python programs.py URL` prints a line of JSON for each client: its setting, what it meant, and what it was given.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

GIVEN = json.loads((Path(__file__).parent / "questions.json").read_text(encoding="utf-8"))
TEXTS: list[str] = GIVEN["texts"]
QUESTION: str = GIVEN["question"]
MODEL = "jina-embeddings-v3"
QUERY, PASSAGE = "retrieval.query", "retrieval.passage"
QUERY_PROMPT = "Represent the query for retrieving evidence documents:"
PASSAGE_PROMPT = "Represent the document for retrieval:"
Part = dict[str, Any]
Program = Callable[[str], Iterator[Part]]
PROGRAMS: list[tuple[dict[str, str], Program]] = []


def client(name: str, package: str, setting: str, route: str) -> Callable[[Program], Program]:
    """Enter a program into the table."""

    def entered(program: Program) -> Program:
        PROGRAMS.append(({"client": name, "package": package, "setting": setting, "route": route}, program))
        return program

    return entered


def vectors(
    given: Any,
    task: str | None = None,
    dimensions: int | None = None,
    texts: list[str] | None = None,
    late: bool = False,
) -> Part:
    """What a client was given, and what it meant to ask for."""
    rows = [[float(number) for number in row] for row in given]
    return {"vectors": rows, "task": task, "dimensions": dimensions, "texts": texts or TEXTS, "late": late}


def scores(given: dict[int, float]) -> Part:
    """Each text's score for the question."""
    return {"scores": [given[index] for index in range(len(TEXTS))]}


@client("openai (Python)", "openai", "`base_url=URL/v1`, `extra_body={'task': …}`", "/v1/embeddings")
def openai_python(url: str) -> Iterator[Part]:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as asked:
        for form in (openai.omit, "float"):
            answer = asked.embeddings.create(
                model=MODEL, input=TEXTS, dimensions=64, encoding_format=form, extra_body={"task": PASSAGE}
            )
            yield vectors([row.embedding for row in answer.data], PASSAGE, 64)
        named = asked.embeddings.create(model=f"{MODEL}:{QUERY}", input=QUESTION)
        yield vectors([named.data[0].embedding], QUERY, texts=[QUESTION])


@client("openai (Python), a fixed name", "openai", "`--served-name text-embedding-3-small`", "/v1/embeddings")
def openai_fixed_name(url: str) -> Iterator[Part]:
    import openai

    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as asked:
        answer = asked.embeddings.create(model="text-embedding-3-small", input=TEXTS)
        yield vectors([row.embedding for row in answer.data])


@client("openai (Python), Azure", "openai", "`AzureOpenAI(azure_endpoint=URL)`", "/openai/deployments/…/embeddings")
def openai_azure(url: str) -> Iterator[Part]:
    import openai

    asked = openai.AzureOpenAI(azure_endpoint=url, api_key="any", api_version="2024-10-21", max_retries=0)
    answer = asked.embeddings.create(model=MODEL, input=TEXTS, extra_body={"task": PASSAGE})
    yield vectors([row.embedding for row in answer.data], PASSAGE)


@client("langchain-openai", "langchain-openai", "`base_url=URL/v1`; the server with `[token-ids]`", "/v1/embeddings")
def langchain_openai_ids(url: str) -> Iterator[Part]:
    from langchain_openai import OpenAIEmbeddings

    asked = OpenAIEmbeddings(model=f"{MODEL}:{PASSAGE}", base_url=f"{url}/v1", api_key="any", max_retries=0)
    yield vectors(asked.embed_documents(TEXTS), PASSAGE)
    asked = OpenAIEmbeddings(model=f"{MODEL}:{QUERY}", base_url=f"{url}/v1", api_key="any", max_retries=0)
    yield vectors([asked.embed_query(QUESTION)], QUERY, texts=[QUESTION])


@client("langchain-openai, texts", "langchain-openai", "`check_embedding_ctx_length=False`", "/v1/embeddings")
def langchain_openai_texts(url: str) -> Iterator[Part]:
    from langchain_openai import OpenAIEmbeddings

    asked = OpenAIEmbeddings(
        model=MODEL,
        base_url=f"{url}/v1",
        api_key="any",
        check_embedding_ctx_length=False,
        dimensions=64,
        model_kwargs={"extra_body": {"task": PASSAGE}},
        max_retries=0,
    )
    yield vectors(asked.embed_documents(TEXTS), PASSAGE, 64)


@client("langchain-community, JinaEmbeddings", "langchain-community", "the constant JINA_API_URL", "/v1/embeddings")
def langchain_community(url: str) -> Iterator[Part]:
    from langchain_community.embeddings import jina

    jina.JINA_API_URL = f"{url}/v1/embeddings"
    asked = jina.JinaEmbeddings(jina_api_key="any", model_name=f"{MODEL}:{PASSAGE}")
    yield vectors(asked.embed_documents(TEXTS), PASSAGE)


@client("langchain-community, JinaRerank", "langchain-community", "the constant JINA_API_URL", "/v1/rerank")
def langchain_rerank(url: str) -> Iterator[Part]:
    from langchain_community.document_compressors import jina_rerank

    jina_rerank.JINA_API_URL = f"{url}/v1/rerank"
    asked = jina_rerank.JinaRerank(jina_api_key="any", model=MODEL, top_n=len(TEXTS))
    yield scores({row["index"]: row["relevance_score"] for row in asked.rerank(TEXTS, QUESTION)})


def litellm() -> Any:
    import litellm as module

    module.telemetry = False
    module.num_retries = 0
    return module


@client("LiteLLM, jina_ai", "litellm", "`api_base=URL/v1`, `task=…`", "/v1/embeddings")
def litellm_jina(url: str) -> Iterator[Part]:
    answer = litellm().embedding(
        f"jina_ai/{MODEL}", input=TEXTS, api_base=f"{url}/v1", api_key="any", dimensions=64, task=PASSAGE
    )
    yield vectors([row["embedding"] for row in answer.data], PASSAGE, 64)


@client("LiteLLM, voyage", "litellm", "`api_base=URL/v1`, `dimensions=64`, `input_type='query'`", "/v1/embeddings")
def litellm_voyage(url: str) -> Iterator[Part]:
    answer = litellm().embedding(
        f"voyage/{MODEL}", input=TEXTS, api_base=f"{url}/v1", api_key="any", dimensions=64, input_type="query"
    )
    yield vectors([row["embedding"] for row in answer.data], QUERY, 64)


@client("LiteLLM, openai", "litellm", "`api_base=URL/v1`, `extra_body={'task': …}`", "/v1/embeddings")
def litellm_openai(url: str) -> Iterator[Part]:
    answer = litellm().embedding(
        f"openai/{MODEL}", input=TEXTS, api_base=f"{url}/v1", api_key="any", extra_body={"task": PASSAGE}
    )
    yield vectors([row["embedding"] for row in answer.data], PASSAGE)


@client("LiteLLM, rerank of jina_ai", "litellm", "`api_base=URL`", "/v1/rerank")
def litellm_rerank(url: str) -> Iterator[Part]:
    answer = litellm().rerank(f"jina_ai/{MODEL}", query=QUESTION, documents=TEXTS, api_base=url, api_key="any")
    yield scores({row["index"]: row["relevance_score"] for row in answer.results})


@client("LiteLLM, huggingface", "litellm", "`api_base=URL/embed`, `input_type='feature-extraction'`", "/embed")
def litellm_tei(url: str) -> Iterator[Part]:
    answer = litellm().embedding(
        f"huggingface/{MODEL}", input=TEXTS, api_base=f"{url}/embed", api_key="any", input_type="feature-extraction"
    )
    yield vectors([row["embedding"] for row in answer.data])


@client("LiteLLM, rerank of huggingface", "litellm", "`api_base=URL`", "/rerank")
def litellm_tei_rerank(url: str) -> Iterator[Part]:
    answer = litellm().rerank(f"huggingface/{MODEL}", query=QUESTION, documents=TEXTS, api_base=url, api_key="any")
    yield scores({row["index"]: row["relevance_score"] for row in answer.results})


@client("voyageai (Python)", "voyageai", "`base_url=URL/v1`", "/v1/embeddings")
def voyage(url: str) -> Iterator[Part]:
    import voyageai

    asked = voyageai.Client(api_key="any", base_url=f"{url}/v1", max_retries=0)
    answer = asked.embed(TEXTS, model=MODEL, input_type="document", output_dimension=64)
    yield vectors(answer.embeddings, PASSAGE, 64)
    answer = asked.embed([QUESTION], model=MODEL, input_type="query")
    yield vectors(answer.embeddings, QUERY, texts=[QUESTION])


@client("voyageai (Python), rerank", "voyageai", "`base_url=URL/v1`", "/v1/rerank")
def voyage_rerank(url: str) -> Iterator[Part]:
    import voyageai

    asked = voyageai.Client(api_key="any", base_url=f"{url}/v1", max_retries=0)
    answer = asked.rerank(QUESTION, TEXTS, model=MODEL)
    yield scores({row.index: row.relevance_score for row in answer.results})


@client("cohere (Python)", "cohere", "`ClientV2(base_url=URL)`", "/v2/embed")
def cohere_embed(url: str) -> Iterator[Part]:
    import cohere

    asked = cohere.ClientV2(api_key="any", base_url=url)
    answer = asked.embed(texts=TEXTS, model=MODEL, input_type="search_document", embedding_types=["float"])
    yield vectors(answer.embeddings.float_, PASSAGE)


@client("cohere (Python), rerank", "cohere", "`ClientV2(base_url=URL)`", "/v2/rerank")
def cohere_rerank(url: str) -> Iterator[Part]:
    import cohere

    answer = cohere.ClientV2(api_key="any", base_url=url).rerank(query=QUESTION, documents=TEXTS, model=MODEL)
    yield scores({row.index: row.relevance_score for row in answer.results})


@client("llama-index-embeddings-jinaai", "llama-index-embeddings-jinaai", "`_api.api_url`", "/v1/embeddings")
def llama_index_jina(url: str) -> Iterator[Part]:
    from llama_index.embeddings.jinaai import JinaEmbedding

    asked = JinaEmbedding(api_key="any", model=MODEL, task=PASSAGE, dimensions=64)
    asked._api.api_url = f"{url}/v1/embeddings"
    yield vectors(asked.get_text_embedding_batch(TEXTS), PASSAGE, 64)


@client(
    "llama-index-embeddings-openai-like",
    "llama-index-embeddings-openai-like",
    "`api_base=URL/v1`, `additional_kwargs`",
    "/v1/embeddings",
)
def llama_index_openai(url: str) -> Iterator[Part]:
    from llama_index.embeddings.openai_like import OpenAILikeEmbedding

    asked = OpenAILikeEmbedding(
        model_name=MODEL, api_base=f"{url}/v1", api_key="any", additional_kwargs={"extra_body": {"task": PASSAGE}}
    )
    yield vectors(asked.get_text_embedding_batch(TEXTS), PASSAGE)


@client(
    "llama-index-embeddings-text-embeddings-inference",
    "llama-index-embeddings-text-embeddings-inference",
    "`base_url=URL`, v3's instructions as `query_instruction` and `text_instruction`",
    "/embed",
)
def llama_index_tei(url: str) -> Iterator[Part]:
    from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

    asked = TextEmbeddingsInference(
        model_name=MODEL, base_url=url, query_instruction=QUERY_PROMPT, text_instruction=PASSAGE_PROMPT
    )
    yield vectors(asked.get_text_embedding_batch(TEXTS), PASSAGE)
    yield vectors([asked.get_query_embedding(QUESTION)], QUERY, texts=[QUESTION])


@client(
    "llama-index-postprocessor-jinaai-rerank",
    "llama-index-postprocessor-jinaai-rerank",
    "`base_url=URL/v1`",
    "/v1/rerank",
)
def llama_index_rerank(url: str) -> Iterator[Part]:
    from llama_index.core.schema import NodeWithScore, TextNode
    from llama_index.postprocessor.jinaai_rerank import JinaRerank

    asked = JinaRerank(base_url=f"{url}/v1", model=MODEL, api_key="any", top_n=len(TEXTS))
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    ranked = asked.postprocess_nodes(nodes, query_str=QUESTION)
    yield scores({TEXTS.index(node.node.get_content()): node.score for node in ranked})


@client("jina-haystack", "jina-haystack", "`base_url=URL/v1/embeddings`", "/v1/embeddings")
def haystack_jina(url: str) -> Iterator[Part]:
    from haystack import Document
    from haystack.utils import Secret

    from haystack_integrations.components.embedders.jina import JinaDocumentEmbedder, JinaTextEmbedder

    told: dict[str, Any] = {"api_key": Secret.from_token("any"), "base_url": f"{url}/v1/embeddings", "model": MODEL}
    documents = JinaDocumentEmbedder(**told, task=PASSAGE, progress_bar=False)
    answer = documents.run([Document(content=text) for text in TEXTS])
    yield vectors([document.embedding for document in answer["documents"]], PASSAGE)
    question = JinaTextEmbedder(**told, task=QUERY, dimensions=64).run(QUESTION)
    yield vectors([question["embedding"]], QUERY, 64, [QUESTION])


@client(
    "huggingface-api-haystack",
    "huggingface-api-haystack",
    "`api_params={'url': URL}`, v3's instruction as `prefix`, `normalize=True`",
    "/",
)
def haystack_tei(url: str) -> Iterator[Part]:
    from haystack.utils import Secret

    from haystack_integrations.components.embedders.huggingface_api import HuggingFaceAPITextEmbedder

    asked = HuggingFaceAPITextEmbedder(
        api_type="text_embeddings_inference",
        api_params={"url": url},
        prefix=f"{QUERY_PROMPT} ",
        normalize=True,
        token=Secret.from_token("any"),
    )
    yield vectors([asked.run(QUESTION)["embedding"]], QUERY, texts=[QUESTION])


@client("huggingface_hub, InferenceClient", "huggingface_hub", "`InferenceClient(URL)`, `prompt_name=…`", "/")
def hugging_face(url: str) -> Iterator[Part]:
    from huggingface_hub import InferenceClient

    asked = InferenceClient(url, token="any")
    yield vectors(asked.feature_extraction(TEXTS, prompt_name=PASSAGE, normalize=True), PASSAGE)
    yield vectors(asked.feature_extraction(QUESTION, prompt_name="query"), QUERY, texts=[QUESTION])


@client("chromadb, JinaEmbeddingFunction", "chromadb", "the attribute `_api_url`; `query_config`", "/v1/embeddings")
def chroma_jina(url: str) -> Iterator[Part]:
    from chromadb.utils.embedding_functions import JinaEmbeddingFunction

    asked = JinaEmbeddingFunction(model_name=MODEL, task=PASSAGE, dimensions=64, query_config={"task": QUERY})
    asked._api_url = f"{url}/v1/embeddings"
    yield vectors(asked(TEXTS), PASSAGE, 64)
    yield vectors(asked.embed_query([QUESTION]), QUERY, 64, [QUESTION])
    asked = JinaEmbeddingFunction(model_name=MODEL, task=PASSAGE, late_chunking=True)
    asked._api_url = f"{url}/v1/embeddings"
    yield vectors(asked(TEXTS), PASSAGE, late=True)


@client("chromadb, HuggingFaceEmbeddingServer", "chromadb", "`url=URL/embed`", "/embed")
def chroma_tei(url: str) -> Iterator[Part]:
    from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer

    yield vectors(HuggingFaceEmbeddingServer(url=f"{url}/embed")(TEXTS))


def jina_cli(url: str, *words: str) -> Any:
    """Its command, with the server in place of port 8089."""
    from click.testing import CliRunner
    from jina_cli import api
    from jina_cli.main import cli

    api.LOCAL_SERVER = api.API_BASE = url
    told = CliRunner().invoke(cli, list(words))
    if told.exit_code:
        raise RuntimeError(told.output.strip())
    return json.loads(told.output)


@client(
    "jina-cli, embed",
    "jina-cli",
    "`--local`; `serve --port 8089 --served-name jina-embeddings-v5-nano`",
    "/v1/embeddings",
)
def jina_cli_embed(url: str) -> Iterator[Part]:
    rows = jina_cli(url, "embed", "--local", "--task", PASSAGE, "--json", *TEXTS)
    yield vectors([row["embedding"] for row in rows], PASSAGE)


@client("jina-cli, rerank", "jina-cli", "the constant API_BASE; `--model jina-embeddings-v3`", "/v1/rerank")
def jina_cli_rerank(url: str) -> Iterator[Part]:
    from jina_cli import api

    api.API_BASE = url
    rows = api.rerank(QUESTION, TEXTS, api_key="any", model=MODEL)
    yield scores({row["index"]: row["relevance_score"] for row in rows})


@client("embcli-jina", "embcli-jina", "the attribute `endpoint`", "/v1/embeddings")
def embcli(url: str) -> Iterator[Part]:
    from embcli_jina.jina import JinaEmbeddingModel

    asked = JinaEmbeddingModel(MODEL)
    asked.endpoint = f"{url}/v1/embeddings"
    yield vectors(list(asked.embed_batch_for_ingest(TEXTS, None)), PASSAGE)
    yield vectors([asked.embed_for_search(QUESTION)], QUERY, texts=[QUESTION])


def main(url: str) -> None:
    import llama_index.core

    warnings.simplefilter("ignore")
    cache = Path(llama_index.core.__file__).parent / "_static" / "tiktoken_cache"
    os.environ["TIKTOKEN_CACHE_DIR"] = str(cache)
    for name in ("JINA_API_KEY", "JINAAI_API_KEY", "CHROMA_JINA_API_KEY"):
        os.environ[name] = "any"
    for told, program in PROGRAMS:
        row: dict[str, Any] = {**told, "version": "", "parts": []}
        try:
            row["version"] = version(told["package"])
            with contextlib.redirect_stdout(io.StringIO()):
                row["parts"] = list(program(url))
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
