// Cosine of every chunk and the question, with late chunking off, on and blended.

import { element, roving, short } from "./dom.js";

const MOST_DOCUMENTS = 20;
const MODES = [
  ["plain", "Each chunk on its own"],
  ["late", "Late chunking"],
  ["blend", "Both, added"],
];

/** A row for each of the nearest documents, with cells for each mode; `info` tells of the cell in focus. */
export function showHeat(place, info, cosines, documents) {
  const all = MODES.flatMap(([mode]) => cosines[mode]);
  const [low, high] = [Math.min(...all), Math.max(...all)];
  const rows = nearest(cosines, documents);
  const cells = [];
  const table = element("table", {}, head());
  for (const { number, first } of rows) table.append(row(number, first));
  const left = documents.length - rows.length;
  place.replaceChildren(table, ...(left ? [element("p", { class: "hint" }, `${left} more documents are farther.`)] : []));
  roving(
    cells.map((cell) => cell.made),
    (index) => tell(info, cells[index], cosines, documents),
  );
  info.textContent = "";

  function row(number, first) {
    const found = documents[number];
    const sides = MODES.map(([mode, label]) => {
      const own = found.chunks.map((_, chunk) => cell(mode, label, number, chunk, cosines[mode][first + chunk], first));
      return element("td", {}, element("div", { class: "cells" }, ...own));
    });
    return element("tr", {}, element("th", { scope: "row", lang: found.language || undefined }, found.title), ...sides);
  }

  function cell(mode, label, number, chunk, cosine, first) {
    const share = (cosine - low) / (high - low || 1);
    const words = `${documents[number].title}, chunk ${chunk + 1}, ${label}: ${short(cosine)}`;
    const made = element("button", { type: "button", "aria-label": words, "data-row": number }, digits(cosine));
    made.style.setProperty("--share", `${Math.round(share * 100)}%`);
    cells.push({ made, number, chunk, place: first + chunk });
    return made;
  }
}

function head() {
  const names = MODES.map(([, label]) => element("th", { scope: "col" }, label));
  return element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Document"), ...names));
}

/** Documents with the place of their first chunk, the one with the nearest chunk first. */
function nearest(cosines, documents) {
  let first = 0;
  const rows = documents.map((found, number) => {
    const range = [first, (first += found.chunks.length)];
    const best = Math.max(...MODES.flatMap(([mode]) => cosines[mode].slice(...range)));
    return { number, first: range[0], best };
  });
  return rows.sort((one, other) => other.best - one.best).slice(0, MOST_DOCUMENTS);
}

function digits(cosine) {
  return short(cosine).replace("0.", cosine < 0 ? "." : "");
}

function tell(info, { number, chunk, place }, cosines, documents) {
  const found = documents[number];
  const [start, end] = found.chunks[chunk];
  info.replaceChildren(
    element("strong", {}, `${found.title}, chunk ${chunk + 1}: `),
    `${short(cosines.plain[place])} on its own, ${short(cosines.late[place])} with late chunking, ` +
      `${short(cosines.blend[place])} with both added. `,
    element("span", { lang: found.language || undefined }, found.text.slice(start, end)),
  );
}
