"""Small line charts as SVG: they follow a running job without a flicker, in the page's own colours.

Gradio's LinePlot draws no lines once its first data was empty, and has no dashed line for the base.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 24
TICKS = 4

Points = Sequence[tuple[float, float]]


def line_chart(title: str, curves: Mapping[str, Points], level: tuple[str, float] | None = None) -> str:
    """A chart with one line for each curve.

    Args:
        title: stands above, and is read out.
        curves: points (step, value) by name, in the order of their colours; values that are not finite are left out.
        level: a name and a value drawn as a dashed line across, such as the base's.
    """
    drawn = {name: [point for point in points if math.isfinite(point[1])] for name, points in curves.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    if not drawn:
        return ""
    steps = [step for points in drawn.values() for step, _ in points]
    values = [value for points in drawn.values() for _, value in points] + ([level[1]] if level else [])
    frame = _Frame(min(steps), max(steps), *_nice_range(min(values), max(values)))
    lines = "".join(_line(frame, points, number) for number, points in enumerate(drawn.values()))
    keys = "".join(_key(name, f"bd-line-{number}") for number, name in enumerate(drawn))
    if level is not None:
        y = frame.y(level[1])
        lines += f'<line class="bd-line bd-level" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        keys += _key(level[0], "bd-level")
    last = ", ".join(f"{name} {points[-1][1]:.4g}" for name, points in drawn.items())
    return (
        f'<figure class="bd-chart"><figcaption>{escape(title)}<span>{keys}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}: {last}")}">'
        f"{frame.grid()}{lines}</svg></figure>"
    )


class _Frame:
    """Where steps and values lie on the drawing."""

    def __init__(self, first: float, last: float, low: float, high: float) -> None:
        self.first, self.last, self.low, self.high = first, max(last, first + 1), low, high

    def x(self, step: float) -> float:
        return LEFT + (step - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def grid(self) -> str:
        rows = []
        for tick in range(TICKS + 1):
            value = self.low + (self.high - self.low) * tick / TICKS
            y = self.y(value)
            rows.append(
                f'<line class="bd-gridline" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.3g}</text>'
            )
        ends = ((self.first, "start"), (self.last, "end"))
        rows += [
            f'<text x="{self.x(step):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">step {step:.0f}</text>'
            for step, anchor in ends
        ]
        return "".join(rows)


def _nice_range(low: float, high: float) -> tuple[float, float]:
    """Round numbers that hold all values, so that the ticks read well.

    >>> _nice_range(0.13, 0.58)
    (0.0, 0.8)
    """
    # Even a level curve gets a range, one that floats of this size can tell apart.
    spread = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-9)
    unit = 10 ** math.floor(math.log10(spread / TICKS))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor * TICKS >= spread)
    bottom = math.floor(low / step) * step
    # The lowest tick was rounded down, so the highest may fall short by one.
    while bottom + TICKS * step < high:
        step *= 2
        bottom = math.floor(low / step) * step
    return round(bottom, 12), round(bottom + TICKS * step, 12)


def _line(frame: _Frame, points: Points, number: int) -> str:
    places = " ".join(f"{frame.x(step):.1f},{frame.y(value):.1f}" for step, value in points)
    x, y = places.rsplit(" ", 1)[-1].split(",")
    return (
        f'<polyline class="bd-line bd-line-{number}" points="{places}"/>'
        f'<circle class="bd-line-{number}" cx="{x}" cy="{y}" r="3"/>'
    )


def _key(name: str, kind: str) -> str:
    return f'<i class="{kind}"></i>{escape(name)} '
