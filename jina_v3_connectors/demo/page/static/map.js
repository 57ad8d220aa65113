// Every chunk as a point on a plane.

import { element, roving, shape } from "./dom.js";

const SIZE = 200;
const MARGIN = 16;
const MOST_LABELS = 24;
const GOLDEN_ANGLE = 137.508;
const scales = new WeakMap();

/** A map of points [[x, y], …] in the order of all chunks; `info` tells of the point in focus. */
export function showMap(place, info, points, documents) {
  const chunks = documents.flatMap((found, number) => found.chunks.map((_, chunk) => ({ number, chunk })));
  const scaled = fitted(points);
  const dots = points.map((point, index) => dot(scaled(point), chunks[index], documents));
  const labels = documents.length <= MOST_LABELS ? names(points.map(scaled), chunks, documents) : [];
  const picture = shape(
    "svg",
    { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "group", "aria-label": `Map of ${points.length} chunks` },
    ...dots,
    ...labels,
    shape("g", { class: "asked" }),
  );
  place.replaceChildren(picture);
  scales.set(place, scaled);
  roving(dots, (index) => tell(info, chunks[index], documents));
}

/** Put the question and rings around hits on a map that `showMap` made. */
export function showQuestion(place, point, hits, documents) {
  const firsts = [];
  documents.reduce((first, found) => (firsts.push(first), first + found.chunks.length), 0);
  const dots = [...place.querySelectorAll(".dot")];
  dots.forEach((made) => made.classList.remove("hit"));
  hits.forEach((hit) => dots[firsts[hit.document] + hit.chunk]?.classList.add("hit"));
  const [x, y] = scales.get(place)(point).map((value) => Math.max(MARGIN / 2, Math.min(SIZE - MARGIN / 2, value)));
  place.querySelector(".asked").replaceChildren(
    shape("text", { x, y, class: "star", "text-anchor": "middle", "dominant-baseline": "central" }, "★"),
  );
}

/** The function that brings these points into the picture, both axes alike. */
function fitted(points) {
  const ends = [0, 1].map((axis) => {
    const values = points.map((point) => point[axis]);
    return [Math.min(...values), Math.max(...values)];
  });
  const middle = ends.map(([low, high]) => (low + high) / 2);
  const half = Math.max(...ends.map(([low, high]) => (high - low) / 2)) || 1;
  const reach = SIZE / 2 - MARGIN;
  return ([x, y]) => [SIZE / 2 + ((x - middle[0]) / half) * reach, SIZE / 2 - ((y - middle[1]) / half) * reach];
}

function dot([cx, cy], { number, chunk }, documents) {
  const label = `${documents[number].title}, chunk ${chunk + 1}`;
  const made = shape("circle", { cx, cy, r: 3.2, class: "dot", role: "img", "aria-label": label });
  made.style.setProperty("--hue", Math.round((number * GOLDEN_ANGLE) % 360));
  return made;
}

/** Titles in the middle of each document's points, the later ones moved off those before. */
function names(points, chunks, documents) {
  const taken = [];
  return documents.map((found, number) => {
    const own = points.filter((_, index) => chunks[index].number === number);
    const [x, middle] = [0, 1].map((axis) => own.reduce((sum, point) => sum + point[axis], 0) / own.length);
    const title = found.title.length > 22 ? `${found.title.slice(0, 21)}…` : found.title;
    const half = title.length * 1.7;
    let y = middle;
    while (taken.some((other) => Math.abs(other.y - y) < 6 && Math.abs(other.x - x) < half + other.half)) y += 3;
    taken.push({ x, y, half });
    const inside = Math.max(half, Math.min(SIZE - half, x));
    const lang = found.language || undefined;
    return shape("text", { x: inside, y, class: "name", "text-anchor": "middle", "aria-hidden": "true", lang }, title);
  });
}

function tell(info, { number, chunk }, documents) {
  const found = documents[number];
  const [start, end] = found.chunks[chunk];
  info.replaceChildren(
    element("strong", {}, `${found.title}, chunk ${chunk + 1}: `),
    element("span", { lang: found.language || undefined }, found.text.slice(start, end)),
  );
}
