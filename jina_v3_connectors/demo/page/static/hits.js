// Passages found, each inside its document.

import { element, short } from "./dom.js";

const OPEN_AT_FIRST = 1;

/** Fill `list` with hits: closed they show the passage, open the whole document with the passage marked. */
export function showHits(list, hits, documents) {
  list.replaceChildren(...hits.map((hit, rank) => item(hit, rank, documents[hit.document])));
  if (!hits.length) list.append(element("li", { class: "none" }, "Nothing was found."));
}

function item(hit, rank, document) {
  const [start, end] = hit.span;
  const meter = element("meter", { min: 0, max: 1, value: Math.max(0, hit.score), "aria-hidden": "true" });
  const summary = element(
    "summary",
    {},
    element("span", { class: "score" }, short(hit.score)),
    meter,
    element("strong", { lang: document.language || undefined }, document.title),
    element("span", { class: "passage", lang: document.language || undefined }, document.text.slice(start, end)),
  );
  const whole = element(
    "p",
    { class: "document", lang: document.language || undefined },
    document.text.slice(0, start),
    element("mark", {}, document.text.slice(start, end)),
    document.text.slice(end),
  );
  return element("li", {}, element("details", { open: rank < OPEN_AT_FIRST }, summary, whole));
}
