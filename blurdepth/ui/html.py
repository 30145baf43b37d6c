"""The few pieces of HTML that the page is made of beyond Gradio's components. All text is escaped here."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from blurdepth.blurcheck import Verdict
from blurdepth.render import Range, css_gradient
from blurdepth.store.records import Counts, Version

STATUS_WORDS = {
    "queued": "waiting for its turn",
    "running": "running",
    "done": "done",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "failed": "failed",
}


def url_of(path: Path) -> str:
    """The address under which the page finds a picture of the data folder."""
    return "gradio_api/file=" + quote(str(path))


def figure(path: Path, caption: str, note: str = "") -> str:
    """A picture with its name under it; a click opens it in full size."""
    aside = f' <span class="bd-note">{escape(note)}</span>' if note else ""
    picture = f'<img src="{url_of(path)}" alt="{escape(caption)}">'
    return (
        f'<figure class="bd-figure"><a href="{url_of(path)}" target="_blank" rel="noopener">{picture}</a>'
        f"<figcaption>{escape(caption)}{aside}</figcaption></figure>"
    )


def empty(title: str, advice: str) -> str:
    """What stands where nothing is yet: what will be here, and the one thing to do."""
    picture = '<div class="bd-empty-picture" aria-hidden="true"><i></i><i></i><i></i></div>'
    return f'<div class="bd-empty">{picture}<b>{escape(title)}</b><span>{escape(advice)}</span></div>'


def notice(text: str) -> str:
    """A sentence that should be seen."""
    return f'<div class="bd-notice" role="status">{escape(text)}</div>'


def rough(png: bytes, about: str) -> str:
    """A small picture that is only just emerging."""
    data = base64.b64encode(png).decode()
    return f'<img class="bd-rough" src="data:image/png;base64,{data}" alt="{escape(about)}">'


def verdict(found: Verdict) -> str:
    """What the blur gate says of a variant."""
    kind = "good" if found.passed else "bad"
    return f'<div class="bd-verdict bd-{kind}">Blur check: {escape(found.words)}.</div>'


@dataclass(frozen=True)
class Card:
    """One picture of a grid. `status` colours its edge; `badge` is a word or two on it."""

    id: str
    picture: Path
    title: str
    status: str = ""
    badge: str = ""


def grid(cards: Iterable[Card], selected: str = "") -> str:
    """Small pictures that can be clicked and reached by keyboard; see `picture_grid` for the events."""
    pieces = []
    for card in cards:
        chosen, current = (" bd-chosen", ' aria-current="true"') if card.id == selected else ("", "")
        badge = f'<span class="bd-badge">{escape(card.badge)}</span>' if card.badge else ""
        pieces.append(
            f'<button type="button" class="bd-card bd-{escape(card.status)}{chosen}" data-id="{escape(card.id)}" '
            f'title="{escape(card.title)}" aria-label="{escape(card.title)}"{current}>'
            f'<img loading="lazy" src="{url_of(card.picture)}" alt="">{badge}</button>'
        )
    return f'<div class="bd-grid">{"".join(pieces)}</div>'


def film(frames: Iterable[tuple[str, Path, bool]], about: str) -> str:
    """Small frames in a row, those of the exposure marked, and a line about them."""
    pieces = (
        f'<img src="{url_of(path)}" alt="{escape(name)}" title="{escape(name)}"{" class=bd-open" if inside else ""}>'
        for name, path, inside in frames
    )
    return f'<div class="bd-film">{"".join(pieces)}</div><div class="bd-note">{escape(about)}</div>'


def depth_scale(span: Range, *, in_metres: bool) -> str:
    """The depth colours with their ends: in metres by the assumed scale, or in words for a depth without scale."""
    far, near = (f" {1 / value:.0f} m" if in_metres and value > 1e-3 else "" for value in (span.low, span.high))
    return _scale("depth", f"far{far}", f"near{near}")


def difference_scale() -> str:
    """The colours of a difference with their meaning."""
    return _scale("difference", "B says farther", "B says nearer")


def _scale(kind: str, left: str, right: str) -> str:
    return (
        f'<div class="bd-scale"><span>{escape(left)}</span><div style="background:{css_gradient(kind)}"></div>'
        f"<span>{escape(right)}</span></div>"
    )


def bar(share: float, label: str) -> str:
    """A progress bar with its words."""
    percent = round(100 * min(max(share, 0), 1))
    return (
        f'<div class="bd-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-label="{escape(label)}"><i style="width:{percent}%"></i></div><div class="bd-note">{escape(label)}</div>'
    )


def header(device: str, counts: Counts, job: str) -> str:
    """The line that is always there: where it runs, how many samples, and what is running, if anything."""
    numbers = "".join(
        f'<span class="bd-count bd-{name}"><b>{number}</b> {name}</span>'
        for name, number in (
            ("pending", counts.pending),
            ("accepted", counts.accepted),
            ("rejected", counts.rejected),
        )
    )
    chip = ""
    if job:
        words = escape(job)
        chip = f'<button type="button" class="bd-job" data-tab="train">{words}</button>'
    return (
        f'<div class="bd-header"><h1>blurdepth</h1><span class="bd-note">{escape(device)}</span>'
        f'<span class="bd-counts" aria-live="polite">{numbers}</span>{chip}</div>'
    )


@dataclass(frozen=True)
class Change:
    """A cell with two numbers, coloured by whether the second is better."""

    before: float
    after: float
    lower_is_better: bool

    @property
    def kind(self) -> str:
        """better, worse or same, at the precision that is shown."""
        gain = round(self.before, 3) - round(self.after, 3)
        return "same" if gain == 0 else "better" if (gain > 0) == self.lower_is_better else "worse"


def _cell(value: str | Change) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="bd-{value.kind}" title="{value.kind}">{value.before:.3f} → {value.after:.3f}</td>'


def table(head: Sequence[str], rows: Iterable[tuple[str, *tuple[str | Change, ...]]]) -> str:
    """A plain table; the first column names the row."""
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    body = "".join(f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, cells))}</tr>' for name, *cells in rows)
    return f'<div class="bd-table"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


def facts(values: Mapping[str, str], title: str) -> str:
    """A folded list of names and values."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in values.items())
    return folded(title, f"<dl>{rows}</dl>")


def folded(title: str, inside: str) -> str:
    """Finished HTML under a title that opens it."""
    return f'<details class="bd-facts"><summary>{escape(title)}</summary>{inside}</details>'


def log(text: str, *, opened: bool) -> str:
    """The end of a log, folded unless it matters."""
    state = " open" if opened else ""
    return f'<details class="bd-facts"{state}><summary>Log</summary><pre>{escape(text)}</pre></details>' if text else ""


def contents(version: Version) -> str:
    """How much a dataset version holds, in words."""
    return f"{_number(version.samples, 'sample')} of {_number(version.frames, 'frame')}"


def _number(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def duration(seconds: float | None) -> str:
    """Seconds in the words of a clock.

    >>> duration(75), duration(4), duration(None)
    ('1 min 15 s', '4 s', '')
    """
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
