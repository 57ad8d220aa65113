// The form, the calls it makes, and what follows from their answers.

import { element } from "./dom.js";
import { showHeat } from "./heat.js";
import { showHits } from "./hits.js";
import { showMap, showQuestion } from "./map.js";

const MODES = ["plain", "late", "blend"];
const OWN_TASK = "retrieval.query";
const NO_TASK = "none (base model)";

const at = (id) => document.getElementById(id);
const form = at("ask");
let about;
let asking;

/** Parsed JSON of a call; the server's own words where it refuses. */
async function call(path, body, signal) {
  const headers = at("key").value ? { Authorization: `Bearer ${at("key").value}` } : {};
  const options = { headers, signal };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  const value = await answer.json();
  if (answer.ok) return value;
  if (answer.status === 401) {
    at("key-label").hidden = false;
    at("key").focus();
  }
  throw new Error(value.detail);
}

function fail(error) {
  if (error.name === "AbortError") return;
  at("status").textContent = "";
  at("error").textContent = error.message;
  at("error").hidden = false;
}

function options(select, values, chosen) {
  select.replaceChildren(
    ...values.map(([value, label]) => element("option", { value, selected: value === chosen }, String(label))),
  );
}

// Models without tasks have none of their own.
const ownTask = () => (about.tasks.includes(OWN_TASK) ? OWN_TASK : "");

const several = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

async function start() {
  at("model").textContent = "Loading …";
  about = await call("/demo/about");
  at("error").hidden = true;
  at("model").textContent =
    `model ${about.model} (${about.fingerprint}) · ${several(about.documents.length, "document")} · ` +
    several(about.chunks, "chunk");
  options(at("store"), about.stores.map((name) => [name, name]), about.stores[0]);
  options(at("task"), [...about.tasks, ""].map((name) => [name, name || NO_TASK]), ownTask());
  options(at("dimensions"), about.dimensions.map((size) => [size, size]), about.dimension);
  at("examples").replaceChildren(...about.questions.map(example));
  for (const mode of MODES) showMap(at(`map-${mode}`), at("map-info"), about.maps[mode], about.documents);
  showStarted().catch(fail);
  if (about.first && !at("question").value) at("question").value = about.first;
  if (at("question").value) await ask();
  else at("status").textContent = "Ask something.";
}

/** Says of each store in the list whether it is started; one that is not may be by the next question. */
async function showStarted() {
  const started = await call("/demo/stores");
  for (const option of at("store").options) {
    option.textContent = started[option.value] ? option.value : `${option.value} – not started`;
  }
}

function example({ text, language }) {
  const button = element("button", { type: "button", lang: language }, text);
  button.addEventListener("click", () => {
    at("question").value = text;
    ask().catch(fail);
  });
  return button;
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  at("error").hidden = true;
  at("task-note").hidden = at("task").value === ownTask();
  at("status").textContent = "Searching …";
  const question = {
    question: at("question").value,
    store: at("store").value,
    task: at("task").value || null,
    dimensions: Number(at("dimensions").value),
    limit: Number(at("limit").value),
    hybrid: at("hybrid").value || null,
  };
  show(await call("/demo/search", question, asking.signal));
}

function show(found) {
  at("results").hidden = false;
  for (const mode of MODES) {
    showHits(at(`hits-${mode}`), found.hits[mode], about.documents);
    showQuestion(at(`map-${mode}`), found.points[mode], found.hits[mode], about.documents);
  }
  showHeat(at("heat"), at("heat-info"), found.cosines, about.documents);
  const milliseconds = (seconds) => `${Math.max(1, Math.round(seconds * 1000))} ms`;
  at("status").textContent =
    `${several(found.tokens, "token")} read in ${milliseconds(found.encode_seconds)}, ` +
    `three collections searched in ${milliseconds(found.search_seconds)}.`;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  (about ? ask() : start()).catch(fail);
});
for (const id of ["store", "task", "dimensions", "hybrid", "limit"]) {
  at(id).addEventListener("change", () => at("question").value.trim() && ask().catch(fail));
}
at("store").addEventListener("focus", () => about && showStarted().catch(fail));
at("key").addEventListener("change", () => !about && start().catch(fail));
start().catch(fail);
