"""The card of a fine-tuned model: README.md, as the Hub reads it, made of the notes of its checkpoint.

Names and notes that people gave are quoted, so that none of them becomes markup.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from blurdepth.estimators import BUNDLED, KNOWN_MODELS
from blurdepth.files import write_atomically
from blurdepth.images import Rgb, encode_jpeg
from blurdepth.metrics import METRICS

CARD = "README.md"
MAX_PICTURES = 3
GROUPS = {
    "all": "blurred images",
    "static": "their static pixels",
    "blurred": "their blurred pixels",
    "pure": "their blurred pixels of one depth",
    "mixed": "their mixed pixels",
    "ring": "a ring around mixed pixels",
    "sharp": "sharp frames",
}
"""Groups of metrics in the order in which they are shown, with what they are."""

MADE_TARGETS_ABS_REL = 0.005
"""On sharp frames, a base that is closer to the targets than this has made them."""

_CAVEATS = {
    "training samples": "These are the samples it was trained on: on others it will do worse.",
    "held-out variants of training frames": "It was trained on other variants of the same frames: on other frames it "
    "will do worse.",
}
_VERSION_LIMITS = (
    "- Scenes unlike those it was trained on: it learned from the frames of one dataset version, blurred by a "
    "simulated or blended exposure under an assumed camera.",
    "- The truth of its targets: they come from another model's depth of the sharp frames, and what that model got "
    "wrong, this one has learned.",
)
_STREET_LIMITS = (
    "- Photographs: it learned from rendered streets, whose depth is exact. How much of what it learned about blur "
    "holds for real cameras was not measured, and sharp photographs may come out worse than from its base.",
)
_GAP_PX = 6
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_KINDS = {
    "affine_inverse_depth": "It predicts *affine inverse depth*: larger is nearer, scale and shift are unknown.",
    "inverse_depth": "It predicts inverse depth in 1/m: larger is nearer.",
    "depth_m": "It predicts depth in metres: smaller is nearer.",
}


@dataclass(frozen=True)
class CardPicture:
    """One picture of a card, with what it shows."""

    caption: str
    rgb: Rgb


def side_by_side(panels: Sequence[Rgb]) -> Rgb:
    """Pictures of one size, each (H, W, 3) uint8, beside each other with a gap."""
    gap = np.full((panels[0].shape[0], _GAP_PX, 3), 255, np.uint8)
    return np.concatenate([panels[0], *(each for panel in panels[1:] for each in (gap, panel))], axis=1)


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; each row has as many cells as the head."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def write_card(folder: Path, notes: Mapping[str, Any], pictures: Sequence[CardPicture] = ()) -> Path:
    """Write README.md and its pictures (sample-1.jpg, …) into a checkpoint's folder; returns the card's path.

    Args:
        folder: of the checkpoint.
        notes: as in its blurdepth.json; what is not in them is left out of the card.
        pictures: of input, base, fine-tuned and target; see `side_by_side`. The first three are taken.

    Raises:
        StorageError: the folder can't be written.
    """
    shown = pictures[:MAX_PICTURES]
    for number, picture in enumerate(shown, 1):
        write_atomically(folder / _file_name(number), encode_jpeg(picture.rgb))
    card = card_text(notes, [picture.caption for picture in shown])
    write_atomically(folder / CARD, card.encode(errors="replace"))
    return folder / CARD


def card_text(notes: Mapping[str, Any], captions: Sequence[str] = ()) -> str:
    """The card as Markdown with the Hub's YAML front matter."""
    notes = shareable(notes)
    parts = [
        _front_matter(notes),
        _about(notes),
        _pictures(captions),
        _use(notes),
        _metrics(notes.get("metrics", {})),
        _data(notes),
        _recipe(notes.get("recipe", {})),
        _limits(notes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def shareable(notes: Mapping[str, Any]) -> dict[str, Any]:
    """The notes without the paths of this machine: of a folder only its name is told.

    >>> shareable({"base": {"name": "/home/ann/models/mine", "revision": "ab"}})
    {'base': {'name': 'the folder mine', 'revision': 'ab'}}
    """
    told = dict(notes)
    if isinstance(base := notes.get("base"), Mapping):
        told["base"] = {**base, "name": _told_name(str(base.get("name", "")))}
        if licence := licence_of(str(base.get("name", ""))):
            told["base"]["licence"] = licence
    if isinstance(origin := notes.get("provenance"), Mapping) and "base" in origin:
        told["provenance"] = {**origin, "base": _told_name(str(origin["base"]))}
    return told


def measured_on(metrics: Mapping[str, Any]) -> str:
    """What the metrics of a fine-tune were measured on, and what that leaves open.

    >>> measured_on({"validated_on": "training samples"})
    'Measured on training samples. These are the samples it was trained on: on others it will do worse.'
    """
    on = str(metrics.get("validated_on", "unknown data"))
    return " ".join(filter(None, (f"Measured on {on}.", _CAVEATS.get(on, ""))))


def licence_of(base: str) -> str:
    """The licence of a base model as the Hub writes it, such as "apache-2.0"; "" where it is not known.

    Of a folder, what its own card says; a checkpoint of ours has said there what it knew of its base.
    """
    for model in KNOWN_MODELS:
        if model.id == base:
            return model.licence.lower()
    path = Path(os.path.expanduser(base)) / CARD
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    found = re.match(r"---\n(?:.*\n)*?license: ([a-z0-9.-]+)\n(?:.*\n)*?---\n", text)
    return found[1] if found else ""


def plain(text: object) -> str:
    """Any text as one line of Markdown that shows it as it is.

    >>> plain("a *b* | <i>c</i>\\n# d")
    'a \\\\*b\\\\* \\\\| \\\\<i\\\\>c\\\\</i\\\\> \\\\# d'
    """
    return re.sub(r"([\\`*_{}\[\]<>()#|!~&$:@])", r"\\\1", " ".join(str(text).split()))


def _told_name(name: str) -> str:
    """A model's name without the path of a folder."""
    if name == BUNDLED or (_HUB_ID.fullmatch(name) and not os.path.isdir(name)):
        return name
    if "/" not in name and "\\" not in name:
        return name
    parts = [part for part in re.split(r"[/\\]", name) if part]
    # Of a job's checkpoint the name of the job says more than "checkpoint".
    last = parts[-2] if parts[-1:] == ["checkpoint"] and len(parts) > 1 else "".join(parts[-1:])
    return f"the folder {last}"


def _front_matter(notes: Mapping[str, Any]) -> str:
    """YAML whose texts are quoted as JSON is, which YAML reads too."""
    base = notes.get("base", {})
    name = str(base.get("name", ""))
    lines = ["library_name: transformers", "pipeline_tag: depth-estimation"]
    if _HUB_ID.fullmatch(name):
        lines.append(f"base_model: {json.dumps(name)}")
    if licence := base.get("licence"):
        lines.append(f"license: {licence}")
    lines += ["tags:", *(f"- {tag}" for tag in ("depth-estimation", "motion-blur", "blurdepth"))]
    return "\n".join(["---", *lines, "---"])


def _about(notes: Mapping[str, Any]) -> str:
    base = notes.get("base", {})
    name = plain(base.get("name", "a depth model"))
    name = "The bundled model of blurdepth" if name == BUNDLED else name
    lines = [
        f"# {name}, fine-tuned for motion blur",
        "",
        f"A monocular depth model, fine-tuned by blurdepth {plain(notes.get('code_version', ''))} from"
        f" {name[0].lower() + name[1:] if name.startswith('The ') else name}"
        f" (revision {plain(base.get('revision', 'unknown'))}) on motion-blurred frames."
        f" {_KINDS.get(str(notes.get('kind')), '')}".rstrip(),
    ]
    if not base.get("licence"):
        lines += ["", "The licence is that of its base, which is not known here: look it up before you share it."]
    for warning in _warnings(notes):
        lines += ["", f"**{warning}**"]
    return "\n".join(lines)


def _warnings(notes: Mapping[str, Any]) -> list[str]:
    metrics, found = notes.get("metrics", {}), []
    if notes.get("status", "done") != "done":
        found.append("The fine-tune was stopped before its end: these are the best weights until then.")
    if metrics.get("improved") is False:
        found.append("On what it was measured, it is not better than its base.")
    before, after = (metrics.get(who, {}).get("sharp", {}).get("abs_rel") for who in ("base", "tuned"))
    if before is not None and after is not None and after > before:
        own = before < MADE_TARGETS_ABS_REL
        why = " Its base made the targets, and is right there by definition." if own else ""
        found.append(f"On sharp frames it is worse than its base: AbsRel {after:.3f} instead of {before:.3f}.{why}")
    return found


def _pictures(captions: Sequence[str]) -> str:
    if not captions:
        return ""
    lines = ["## What it does", "", "From left to right: input, base, fine-tuned, target; near is bright."]
    for number, caption in enumerate(captions, 1):
        lines += ["", f"![{plain(caption)}]({_file_name(number)})"]
    return "\n".join(lines)


def _file_name(number: int) -> str:
    return f"sample-{number}.jpg"


def _use(notes: Mapping[str, Any]) -> str:
    unit = "metres" if notes.get("kind") == "depth_m" else "larger is nearer"
    return f"""## How to use it

```python
from transformers import pipeline

depth = pipeline("depth-estimation", model="path/to/this/folder")  # or its id on the Hub
depth("frame.jpg")["predicted_depth"]  # {unit}
```"""


def _metrics(metrics: Mapping[str, Any]) -> str:
    base, tuned = metrics.get("base"), metrics.get("tuned")
    if not base or not tuned:
        return ""
    groups = [name for name in GROUPS if name in base and name in tuned]
    arrows = {"lower": "↓", "higher": "↑"}
    rows = [
        [f"{plain(metric.label)} {arrows[metric.better]}" + (f", {metric.unit}" if metric.unit else "")]
        + [_change(base[group].get(metric.key), tuned[group].get(metric.key)) for group in groups]
        for metric in METRICS
    ]
    lines = [
        "## What it measures",
        "",
        f"{plain(measured_on(metrics))} Each cell is base → fine-tuned (the weights of epoch"
        f" {plain(metrics.get('best_epoch', 'unknown'))}, which did best on these), each prediction"
        " aligned to its target in inverse depth by least squares. ↓ lower is better, ↑ higher is better.",
        "",
        markdown_table(["", *(GROUPS[group] for group in groups)], rows),
    ]
    return "\n".join(lines)


def _change(before: float | None, after: float | None) -> str:
    return " → ".join("–" if value is None else f"{value:.4f}" for value in (before, after))


def _data(notes: Mapping[str, Any]) -> str:
    origin, samples = notes.get("provenance", {}), notes.get("samples", {})
    known = {
        "seeds of rendered streets": _seeds(origin.get("streets", [])),
        "seeds of held-out streets": _seeds(origin.get("held_out_streets", [])),
        "dataset version": origin.get("dataset_version"),
        "SHA-256 of its list of samples": origin.get("dataset_manifest"),
        "note": origin.get("dataset_note"),
        "training samples": samples.get("train"),
        "held-out samples": samples.get("val"),
        "images an epoch": samples.get("train_items"),
        "job": origin.get("job"),
        "seed": notes.get("seed"),
    }
    lines = [f"- {name}: {plain(value)}" for name, value in known.items() if value not in (None, "")]
    return "\n".join(["## What it was trained on", "", *lines]) if lines else ""


def _seeds(ranges: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{first} to {last}" for first, last in ranges)


def _recipe(recipe: Mapping[str, Any]) -> str:
    """The recipe as the TOML file that would give it again; a text in JSON's quotes is one in TOML's too."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in recipe.items() if value is not None]
    return "\n".join(["## Recipe", "", "```toml", *lines, "```"]) if lines else ""


def _limits(notes: Mapping[str, Any]) -> str:
    lines = ["- Anything that safety depends on."]
    if notes.get("kind") == "affine_inverse_depth":
        lines.append("- Metres: its output has no scale.")
    lines += _STREET_LIMITS if "streets" in notes.get("provenance", {}) else _VERSION_LIMITS
    if (count := notes.get("samples", {}).get("train")) is not None and count < 200:
        lines.append(f"- A benchmark: {plain(count)} training samples are few.")
    return "\n".join(["## What it is not good for", "", *lines])
