"""Pages that stand alone: no scripts, nothing from other hosts, and every text escaped.

Whatever is not `Markup` is escaped, so a text of a collection cannot become a part of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

STYLE = """
:root { color-scheme: light dark; --ink: #16211f; --soft: #56635f; --paper: #fbfaf6; --card: #fff; --line: #dcdcd2;
  --old: #8a5a00; --new: #0b6e6e; --good: #1c6b2e; --bad: #a32020; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ece9; --soft: #a3b0ab; --paper: #121716; --card: #1b2220;
  --line: #33403c; --old: #e0b050; --new: #5cc4bd; --good: #7fd18f; --bad: #ff9c8f; } }
* { box-sizing: border-box; }
body { max-width: 68rem; margin: 0 auto; padding: 1.25rem clamp(0.75rem, 3vw, 2rem) 3rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 0.25rem; font-size: 1.5rem; line-height: 1.2; }
h2 { margin: 2.25rem 0 0.5rem; font-size: 1.2rem; }
h3 { margin: 1.25rem 0 0.25rem; font-size: 1rem; }
p { margin: 0 0 0.75rem; max-width: 52rem; }
.soft, figcaption, footer { color: var(--soft); font-size: 0.875rem; }
.verdict { display: inline-block; padding: 0.2rem 0.9rem; border: 2px solid; border-radius: 0.5rem; font-weight: 700;
  font-size: 1.25rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .old { color: var(--old); } .new { color: var(--new); }
.wide { overflow-x: auto; }
table { margin-bottom: 1rem; border-collapse: collapse; background: var(--card); overflow-wrap: break-word; }
caption { padding-bottom: 0.25rem; text-align: left; white-space: nowrap; }
th, td { padding: 0.3rem 0.7rem; border: 1px solid var(--line); text-align: left; vertical-align: top; }
td:first-child strong { white-space: nowrap; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 0 0 1rem; padding: 0.75rem; border: 1px solid var(--line); border-radius: 0.5rem;
  background: var(--card); }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg .axis { stroke: var(--line); stroke-width: 1; }
svg .bar-old { fill: var(--old); } svg .bar-new { fill: var(--new); } svg .step-old { fill: var(--old); }
svg .step-old, svg .step-new { fill-opacity: 0.25; stroke-width: 2; stroke-linejoin: round; }
svg .step-old { stroke: var(--old); } svg .step-new { fill: var(--new); stroke: var(--new); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 18rem), 1fr)); gap: 0.5rem 1.5rem; }
ol { margin: 0; padding-left: 1.5rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 0.5rem; }
"""
NUMBER = re.compile(r"[+-]?[\d,.]+( ?%)?")
"""What stands on the right of a cell."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What a browser may load for a page: its own style, and nothing else."""


class Markup(str):
    """HTML that is ready: made by `element`, or written in this file."""

    __slots__ = ()


Content: TypeAlias = str | int | Markup | Iterable["Content"] | None


def element(name: str, *children: Content, **attributes: str | float | None) -> Markup:
    """An element. Children that are no `Markup` are escaped, attributes always; `class_` is class, `a_b` is a-b."""
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    shown = "".join(f' {key}="{escape(str(value))}"' for key, value in given.items())
    return Markup(f"<{name}{shown}>{_joined(children)}</{name}>")


def _joined(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str | int):
        return escape(str(content))
    return "".join(map(_joined, content))


def table(header: Sequence[str], rows: Iterable[Sequence[str | int | Markup]], *, caption: str | None = None) -> Markup:
    """A table. Cells that read as figures stand on the right."""
    return element(
        "div",
        element(
            "table",
            element("caption", caption, class_="soft") if caption else None,
            element(
                "thead", element("tr", (element("th", name, scope="col") if name else element("td") for name in header))
            ),
            element("tbody", (element("tr", map(_cell, row)) for row in rows)),
        ),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label=caption or ", ".join(filter(None, header)),
    )


def _heading(name: str) -> Markup:
    """An empty cell is no heading."""
    return element("th", name, scope="col") if name else element("td")


def _cell(value: str | int | Markup) -> Markup:
    is_number = isinstance(value, int) or NUMBER.fullmatch(value)
    return element("td", value, class_="number" if is_number else None)


def page(title: str, *body: Content, made_by: str, style: str = "") -> str:
    """A whole page. `made_by` names the command that wrote it, and `style` is added to that of all pages."""
    head = element(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'),
        element("title", title),
        Markup(f"<style>{STYLE}{style}</style>"),
    )
    main = element("main", element("h1", title), *body)
    footer = element("footer", f"Made by {made_by}. This page loads nothing and sends nothing.")
    return f"<!doctype html>\n{element('html', head, element('body', main, footer), lang='en')}\n"
