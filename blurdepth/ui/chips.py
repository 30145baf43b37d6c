"""What a prompt was understood as, in chips that can be changed by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gradio as gr

from blurdepth.errors import BlurdepthError
from blurdepth.prompts import Condition, parse_prompt
from blurdepth.prompts.knobs import knobs, turn
from blurdepth.ui.shared import checked

_STATIC = Path(__file__).parent / "static"


def condition_chips(prompt: str, negative: str) -> gr.HTML:
    """The component. Its value is the JSON of `read`; its `edit` event says that a chip was changed by hand."""
    return gr.HTML(
        read(prompt, negative),
        label="Understood",
        elem_id="reading",
        html_template=(_STATIC / "chips.html").read_text(),
        js_on_load=(_STATIC / "chips.js").read_text(),
        server_functions=[turn_knob],
    )


def read(prompt: str, negative: str, *known: str) -> str:
    """What to show for a prompt: the first `known` that is of the same words, as it may be changed by hand, or anew."""
    for each in known:
        if _words(each) == (prompt, negative):
            return each
    return json.dumps(_read(prompt, negative))


def _words(known: str) -> tuple[Any, Any] | None:
    """Prompt and negative prompt that it is of; None where the browser kept something else."""
    try:
        words = json.loads(known)
    except ValueError:
        return None
    is_whole = isinstance(words, dict) and {"prompt", "negative", "condition"} <= words.keys()
    return (words["prompt"], words["negative"]) if is_whole else None


def turn_knob(asked: dict[str, Any]) -> dict[str, Any]:
    """What to show once a knob was turned; without a name, what the words say. Called by the page."""
    try:
        asked = checked(asked)
    except BlurdepthError as error:
        return _read("", "") | {"error": str(error)}
    words = _read(asked.get("prompt"), asked.get("negative"))
    if not asked.get("name") or words["condition"] is None:
        return words
    try:
        before = Condition.from_json(asked.get("condition"))
    except BlurdepthError as error:
        return words | {"error": str(error)}
    try:
        condition = turn(before, asked["name"], asked.get("value"))
    except BlurdepthError as error:
        return words | _knobs(before) | {"changed": True, "error": str(error)}
    return words | _knobs(condition) | {"changed": condition.to_json() != words["condition"]}


def chosen_condition(value: str) -> Condition | None:
    """The condition that was set by hand, out of the component's value; None where the words stand as they are."""
    shown = json.loads(value)
    return Condition.from_json(shown["condition"]) if shown.get("changed") else None


def _read(prompt: Any, negative: Any) -> dict[str, Any]:
    words = {"prompt": prompt, "negative": negative, "changed": False}
    try:
        reading = parse_prompt(prompt, negative)
    except BlurdepthError as error:
        return words | {"condition": None, "knobs": [], "ignored": [], "error": str(error)}
    return words | _knobs(reading.condition) | {"ignored": list(reading.ignored), "error": ""}


def _knobs(condition: Condition) -> dict[str, Any]:
    shown = [asdict(knob) | {"shown": knob.shown, "at_rest": knob.at_rest} for knob in knobs(condition)]
    return {"condition": condition.to_json(), "knobs": shown}
