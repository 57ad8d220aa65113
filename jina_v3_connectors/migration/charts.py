"""Charts as SVG inside a page: bars and steps, one for the old collection and one for the new.

Each chart has its figures in words as its label, for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..pages import Markup, element

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 36
ROW = 18
SIDES = ("old", "new")
LONGEST_LABEL = 14


def columns(title: str, labels: Sequence[str], counts: Sequence[int], *, below: str, side: str = "new") -> Markup:
    """One column for each label, all of one side."""
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    most, step = max(1, *counts), inner_width / len(labels)
    every = max(1, -(-len(labels) // 12))
    drawn: list[Markup] = [_axes(most, below)]
    for index, (label, count) in enumerate(zip(labels, counts, strict=True)):
        left, height = LEFT + index * step, inner_height * count / most
        drawn.append(
            element(
                "rect",
                element("title", f"{label}: {count:,}"),
                x=round(left + step * 0.1, 1),
                y=round(TOP + inner_height - height, 1),
                width=round(step * 0.8, 1),
                height=round(height, 1),
                class_=f"bar-{side}",
            )
        )
        if index % every == 0:
            drawn.append(_text(left + step / 2, HEIGHT - BOTTOM + 16, label, "middle"))
    words = ", ".join(f"{label}: {count:,}" for label, count in zip(labels, counts, strict=True) if count)
    return _figure(title, drawn, f"{title}. {words}", WIDTH, HEIGHT)


def steps(title: str, edges: Sequence[float], counts: Mapping[str, Sequence[int]], *, below: str) -> Markup:
    """Two histograms over the same bins, each as the outline of its share of hits."""
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    shares = {side: [count / max(1, sum(counts[side])) for count in counts[side]] for side in SIDES}
    most = max(max(side) for side in shares.values()) or 1
    low, high = edges[0], edges[-1]
    at = [LEFT + inner_width * (edge - low) / (high - low) for edge in edges]
    drawn: list[Markup] = [_axes(None, below)]
    for side, values in shares.items():
        bottom = TOP + inner_height
        points: list[tuple[float, float]] = [(at[0], bottom)]
        for index, share in enumerate(values):
            height = bottom - inner_height * share / most
            points += [(at[index], height), (at[index + 1], height)]
        points.append((at[-1], bottom))
        drawn.append(element("polygon", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points), class_=f"step-{side}"))
    for tick in range(6):
        value = low + (high - low) * tick / 5
        drawn.append(_text(LEFT + inner_width * tick / 5, HEIGHT - BOTTOM + 16, f"{value:.2f}", "middle"))
    return _figure(title, [*drawn, *_legend()], f"{title}, from {low:.2f} to {high:.2f}", WIDTH, HEIGHT)


def rows(title: str, values: Mapping[str, tuple[float, float]], *, below: str) -> Markup:
    """For each label a bar of the old and one of the new collection, both from 0 to 1."""
    left = 110
    inner_width = WIDTH - left - RIGHT - 40
    height = TOP + len(values) * ROW * 2.5 + BOTTOM
    drawn: list[Markup] = []
    for index, (label, pair) in enumerate(values.items()):
        top = TOP + index * ROW * 2.5
        name = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
        drawn.append(_text(left - 8, top + ROW + 4, name, "end"))
        for offset, (side, value) in enumerate(zip(SIDES, pair, strict=True)):
            y, width = top + offset * ROW, inner_width * min(1.0, max(0.0, value))
            bar = element("rect", x=left, y=round(y, 1), width=round(width, 1), height=ROW - 3, class_=f"bar-{side}")
            drawn += [bar, _text(left + width + 6, y + 12, f"{value:.3f}", "start")]
    drawn.append(_text(left + inner_width / 2, height - 8, below, "middle"))
    words = ", ".join(f"{label}: old {old:.3f}, new {new:.3f}" for label, (old, new) in values.items())
    return _figure(title, [*drawn, *_legend(height - 8)], f"{title}. {words}", WIDTH, height)


def _axes(most: int | None, below: str) -> Markup:
    """The lines at the left and the bottom, with the highest count and what the horizontal one shows."""
    bottom = HEIGHT - BOTTOM
    lines = [
        element("line", x1=LEFT, y1=bottom, x2=WIDTH - RIGHT, y2=bottom, class_="axis"),
        element("line", x1=LEFT, y1=TOP, x2=LEFT, y2=bottom, class_="axis"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, below, "middle"),
    ]
    if most is not None:
        lines += [_text(LEFT - 6, TOP + 8, f"{most:,}", "end"), _text(LEFT - 6, bottom, "0", "end")]
    return element("g", lines)


def _legend(y: float = HEIGHT - 4) -> list[Markup]:
    """Which colour is which side, in words beside a square."""
    drawn = []
    for index, side in enumerate(SIDES):
        x = LEFT + index * 50
        drawn += [
            element("rect", x=x, y=round(y - 9, 1), width=10, height=10, class_=f"bar-{side}"),
            _text(x + 14, y, side, "start"),
        ]
    return drawn


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return element("text", text, x=round(x, 1), y=round(y, 1), text_anchor=anchor)


def _figure(title: str, drawn: Sequence[Markup], label: str, width: float, height: float) -> Markup:
    drawing = element("svg", drawn, viewBox=f"0 0 {width} {round(height, 1)}", role="img", aria_label=label)
    return element("figure", element("figcaption", title), drawing)
