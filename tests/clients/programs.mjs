// Other projects' clients for Node.js, each asked for vectors as its own documentation shows.
// `node programs.mjs URL FOLDER` prints a line of JSON for each; FOLDER is where they are installed.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [url, folder] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { texts: TEXTS, question: QUESTION } = JSON.parse(readFileSync(join(here, "questions.json"), "utf8"));
const MODEL = "jina-embeddings-v3";
const QUERY = "retrieval.query";
const PASSAGE = "retrieval.passage";

// The packages are in another folder than this file, so their entry for `import` is looked up there.
async function load(name) {
  const manifest = JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"));
  const main = manifest.exports?.["."] ?? manifest.exports ?? manifest.module ?? manifest.main;
  const entry = (given) => (typeof given === "string" ? given : entry(given.import ?? given.default ?? given.require));
  try {
    return await import(pathToFileURL(join(folder, "node_modules", name, entry(main))).href);
  } catch (error) {
    if (!(error instanceof SyntaxError || error.code?.startsWith("ERR_"))) throw error;
    return createRequire(join(folder, "package.json"))(name);
  }
}

const installed = (name) =>
  JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version;

const vectors = (given, task = null, dimensions = null, texts = TEXTS, late = false) => ({
  vectors: Array.from(given, (row) => Array.from(row)), task, dimensions, texts, late,
});

const scores = (rows) => {
  const byIndex = Object.fromEntries(rows);
  return { scores: TEXTS.map((_, index) => byIndex[index]) };
};

const openai = (name) => async () => {
  const { default: OpenAI } = await load(name);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "any", maxRetries: 0 });
  const answer = await client.embeddings.create({ model: MODEL, input: TEXTS, dimensions: 64, task: PASSAGE });
  const named = await client.embeddings.create({ model: `${MODEL}:${QUERY}`, input: QUESTION });
  return [
    vectors(answer.data.map((row) => row.embedding), PASSAGE, 64),
    vectors([named.data[0].embedding], QUERY, null, [QUESTION]),
  ];
};

const embedding = (provider, name) => (provider.embeddingModel ?? provider.textEmbeddingModel)(name);

const PROGRAMS = [
  ["openai 6 (npm)", "openai-6", "`baseURL: URL/v1`", "/v1/embeddings", openai("openai-6")],
  ["openai 7 (npm)", "openai", "`baseURL: URL/v1`", "/v1/embeddings", openai("openai")],
  ["AI SDK, @ai-sdk/openai", "@ai-sdk/openai", "`createOpenAI({ baseURL: URL/v1 })`, the task in the model's name", "/v1/embeddings",
    async () => {
      const { embed, embedMany } = await load("ai");
      const provider = (await load("@ai-sdk/openai")).createOpenAI({ baseURL: `${url}/v1`, apiKey: "any" });
      const options = { openai: { dimensions: 64 } };
      const many = await embedMany({
        model: embedding(provider, `${MODEL}:${PASSAGE}`), values: TEXTS, providerOptions: options, maxRetries: 0,
      });
      const one = await embed({ model: embedding(provider, `${MODEL}:${QUERY}`), value: QUESTION, maxRetries: 0 });
      return [vectors(many.embeddings, PASSAGE, 64), vectors([one.embedding], QUERY, null, [QUESTION])];
    }],
  ["AI SDK, @ai-sdk/openai-compatible", "@ai-sdk/openai-compatible", "`createOpenAICompatible({ baseURL: URL/v1 })`, the task in the model's name",
    "/v1/embeddings",
    async () => {
      const { embedMany } = await load("ai");
      const { createOpenAICompatible } = await load("@ai-sdk/openai-compatible");
      const provider = createOpenAICompatible({ name: "local", baseURL: `${url}/v1`, apiKey: "any" });
      const many = await embedMany({
        model: embedding(provider, `${MODEL}:${PASSAGE}`), values: TEXTS, maxRetries: 0,
        providerOptions: { local: { dimensions: 64 } },
      });
      return [vectors(many.embeddings, PASSAGE, 64)];
    }],
  ["AI SDK, jina-ai-provider", "jina-ai-provider", "`createJina({ baseURL: URL/v1 })`, `inputType`", "/v1/embeddings",
    async () => {
      const { embedMany } = await load("ai");
      const provider = (await load("jina-ai-provider")).createJina({ baseURL: `${url}/v1`, apiKey: "any" });
      const many = await embedMany({
        model: embedding(provider, MODEL), values: TEXTS, maxRetries: 0,
        providerOptions: { jina: { inputType: PASSAGE, outputDimension: 64 } },
      });
      return [vectors(many.embeddings, PASSAGE, 64)];
    }],
  ["AI SDK, @ai-sdk/cohere", "@ai-sdk/cohere", "`createCohere({ baseURL: URL/v2 })`", "/v2/embed",
    async () => {
      const { embedMany } = await load("ai");
      const provider = (await load("@ai-sdk/cohere")).createCohere({ baseURL: `${url}/v2`, apiKey: "any" });
      const many = await embedMany({
        model: embedding(provider, MODEL), values: TEXTS, maxRetries: 0,
        providerOptions: { cohere: { inputType: "search_document" } },
      });
      return [vectors(many.embeddings, PASSAGE)];
    }],
  ["@langchain/openai", "@langchain/openai", "`configuration: { baseURL: URL/v1 }`, the task in the model's name", "/v1/embeddings",
    async () => {
      const { OpenAIEmbeddings } = await load("@langchain/openai");
      const client = (task, dimensions) =>
        new OpenAIEmbeddings({
          model: `${MODEL}:${task}`, dimensions, apiKey: "any", maxRetries: 0, configuration: { baseURL: `${url}/v1` },
        });
      return [
        vectors(await client(PASSAGE, 64).embedDocuments(TEXTS), PASSAGE, 64),
        vectors([await client(QUERY).embedQuery(QUESTION)], QUERY, null, [QUESTION]),
      ];
    }],
  ["@llamaindex/jinaai", "@llamaindex/jinaai", "`baseURL: URL/v1/embeddings`", "/v1/embeddings",
    async () => {
      const { JinaAIEmbedding } = await load("@llamaindex/jinaai");
      const client = new JinaAIEmbedding({
        apiKey: "any", model: MODEL, baseURL: `${url}/v1/embeddings`, task: PASSAGE, dimensions: 64,
      });
      const late = new JinaAIEmbedding({
        apiKey: "any", model: MODEL, baseURL: `${url}/v1/embeddings`, task: PASSAGE, late_chunking: true,
      });
      return [
        vectors(await client.getTextEmbeddings(TEXTS), PASSAGE, 64),
        vectors(await late.getTextEmbeddings(TEXTS), PASSAGE, null, TEXTS, true),
      ];
    }],
  ["@chroma-core/jina", "@chroma-core/jina", "the attribute `url`", "/v1/embeddings",
    async () => {
      const { JinaEmbeddingFunction } = await load("@chroma-core/jina");
      const client = new JinaEmbeddingFunction({ modelName: MODEL, apiKey: "any", task: PASSAGE, dimensions: 64 });
      client.url = `${url}/v1/embeddings`;
      return [vectors(await client.generate(TEXTS), PASSAGE, 64)];
    }],
  ["@huggingface/inference", "@huggingface/inference", "`endpointUrl: URL/embed`", "/embed",
    async () => {
      const { InferenceClient } = await load("@huggingface/inference");
      const client = new InferenceClient("any", { endpointUrl: `${url}/embed` });
      return [vectors(await client.featureExtraction({ inputs: TEXTS, prompt_name: PASSAGE }), PASSAGE)];
    }],
  ["voyageai (npm)", "voyageai", "`environment: URL/v1`", "/v1/embeddings",
    async () => {
      const { VoyageAIClient } = await load("voyageai");
      const client = new VoyageAIClient({ apiKey: "any", environment: `${url}/v1`, maxRetries: 0 });
      const answer = await client.embed({ input: TEXTS, model: MODEL, inputType: "document", outputDimension: 64 });
      return [vectors(answer.data.map((row) => row.embedding), PASSAGE, 64)];
    }],
  ["cohere-ai (npm), rerank", "cohere-ai", "`environment: URL`", "/v2/rerank",
    async () => {
      const { CohereClientV2 } = await load("cohere-ai");
      const client = new CohereClientV2({ token: "any", environment: url });
      const answer = await client.rerank({ query: QUESTION, documents: TEXTS, model: MODEL }, { maxRetries: 0 });
      return [scores(answer.results.map((row) => [row.index, row.relevanceScore]))];
    }],
];

for (const [client, name, setting, route, program] of PROGRAMS) {
  const row = { client, package: name, version: "", setting, route, parts: [] };
  try {
    row.version = installed(name);
    row.parts = await program();
  } catch (error) {
    row.error = `${error.code === "ENOENT" ? "PackageNotFoundError" : error.name}: ${error.message}`;
  }
  process.stdout.write(`${JSON.stringify(row)}\n`);
}
