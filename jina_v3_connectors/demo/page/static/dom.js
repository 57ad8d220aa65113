// Elements and keys.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text, never markup. */
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

/** One stop for the tab key among `items`; arrows, Home and End move between them, in rows where there are rows. */
export function roving(items, onFocus) {
  items.forEach((item, index) => {
    item.setAttribute("tabindex", index === 0 ? 0 : -1);
    item.addEventListener("focus", () => {
      items.forEach((other) => other.setAttribute("tabindex", other === item ? 0 : -1));
      onFocus(index);
    });
    item.addEventListener("pointerenter", () => onFocus(index));
    item.addEventListener("keydown", (event) => {
      const target = next(items, index, event.key);
      if (target === undefined) return;
      event.preventDefault();
      target.focus();
    });
  });
}

function next(items, index, key) {
  const row = items[index].dataset.row;
  switch (key) {
    case "ArrowRight":
      return items[index + 1];
    case "ArrowLeft":
      return items[index - 1];
    case "ArrowDown":
      return row === undefined ? items[index + 1] : items.slice(index).find((item) => item.dataset.row !== row);
    case "ArrowUp":
      return row === undefined ? items[index - 1] : items.slice(0, index).findLast((item) => item.dataset.row !== row);
    case "Home":
      return items[0];
    case "End":
      return items.at(-1);
    default:
      return undefined;
  }
}

/** A number below 1 as people compare cosines: two digits. */
export const short = (value) => value.toFixed(2);
