"""Who moves, on the frame itself: outlines to click, a brush, arrows to drag, and a preview that follows."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np

from blurdepth.camera import scale_from_json
from blurdepth.editing import Desk
from blurdepth.errors import BlurdepthError, InputError
from blurdepth.generation import GenerationRequest, preview
from blurdepth.images import encode_jpeg, object_numbers
from blurdepth.movers import Mask
from blurdepth.prompts import Condition
from blurdepth.setups import Point, Setup
from blurdepth.ui import html, shared
from blurdepth.workspace import Workspace

_STATIC = Path(__file__).parent / "static"
_ANY_SEED = 1

Asked = Mapping[str, Any]
Answer = dict[str, Any]


def movers_editor(workspace: Workspace) -> gr.HTML:
    """The component. Its value is the JSON of `ask`; its `edit` event says that there is a new setup."""

    # Gradio marks these as callable by the page, which a bound method or a partial doesn't let it do.
    def edit_frame(asked: dict[str, Any]) -> Answer:
        return edit(workspace, asked)

    def preview_frame(asked: dict[str, Any]) -> Answer:
        return look_ahead(workspace, asked)

    return gr.HTML(
        NOTHING,
        label="Who moves",
        elem_id="editor",
        html_template=(_STATIC / "editor.html").read_text(),
        js_on_load=(_STATIC / "editor.js").read_text(),
        server_functions=[edit_frame, preview_frame],
    )


NOTHING = json.dumps({"frame": ""})
"""The value that makes the editor show nothing."""


def ask(frame_id: str, model: str, finder: str, setup_id: str) -> str:
    """The value that makes the editor show a frame, by a model's depth and what a finder proposes, under a setup."""
    return json.dumps({"frame": frame_id, "model": model, "finder": finder, "setup": setup_id})


def chosen_setup(value: str) -> str:
    """The id of the setup in the component's value; "" before anything was set."""
    return str(json.loads(value).get("setup") or "")


def _told(work: Callable[[Workspace, Asked], Answer]) -> Callable[[Workspace, Asked], Answer]:
    """A refusal becomes the `error` of the answer, which the editor shows."""

    @functools.wraps(work)
    def answer(workspace: Workspace, asked: Asked) -> Answer:
        try:
            return work(workspace, shared.checked(asked))
        except BlurdepthError as error:
            return {"error": str(error)}

    return answer


def _desk(workspace: Workspace, asked: Asked) -> Desk:
    frame = workspace.store.samples.frame(_text(asked, "frame"))
    setup = workspace.setup(frame.id, _text(asked, "setup"))
    wanted = asked.get("condition")
    condition = Condition.from_json(wanted) if wanted else Condition()
    return Desk(workspace, frame, _text(asked, "model"), setup, condition, _text(asked, "finder"))


@_told
def edit(workspace: Workspace, asked: Asked) -> Answer:
    """Do what the page asks: `action` on `frame` by `model` under `setup` and `condition`.

    Returns:
        What the frame looks like then (see `_sheet`), or an `error`.
    """
    desk = _desk(workspace, asked)
    action = _text(asked, "action")
    if action not in _ACTIONS:
        raise InputError(f"The page asks for {action[:40]!r}, which is not known: reload it.")
    setup = workspace.store.setups.add(_ACTIONS[action](desk, asked))
    return _sheet(replace(desk, setup=setup)) | {"touched": _touched(desk.setup, setup)}


def _touched(before: Setup, after: Setup) -> int | None:
    """The mover that is new."""
    return next((number for number in after.velocities_mps if number not in before.velocities_mps), None)


_ACTIONS: dict[str, Callable[[Desk, Asked], Setup]] = {
    "open": lambda desk, _: desk.setup,
    "choose": lambda desk, asked: desk.choose(_point(asked.get("to"))),
    "paint": lambda desk, asked: desk.paint(
        None if asked.get("mover") is None else int(_number(asked, "mover")),
        _points(asked.get("points")),
        _number(asked, "radius"),
        bool(asked.get("erase")),
    ),
    "drag": lambda desk, asked: desk.drag(int(_number(asked, "mover")), _point(asked.get("to"))),
    "speed": lambda desk, asked: desk.speed(int(_number(asked, "mover")), _number(asked, "speed")),
    "remove": lambda desk, asked: desk.remove(int(_number(asked, "mover"))),
    "assume": lambda desk, asked: desk.assume(scale_from_json(asked.get("scale"))),
    "known": lambda desk, asked: desk.assume_height(int(_number(asked, "mover")), _number(asked, "height")),
}


def _sheet(desk: Desk) -> Answer:
    """All that the page draws."""
    workspace, frame = desk.workspace, desk.frame
    prediction, _ = workspace.estimate(frame, desk.model)
    ids, proposed, view = desk.ids, desk.proposals(), desk.view
    movers = []
    for number, velocity in desk.setup.velocities_mps.items():
        mask = ids == number
        start, end = view.arrow(mask, velocity)
        speed = round(float(np.linalg.norm(velocity)), 1)
        mover = {"number": number, "path": _outline(mask), "from": start, "to": end, "speed": speed}
        movers.append(mover | {"heading": _heading(velocity)})
    return {
        "setup": desk.setup.id,
        "size": [frame.width, frame.height],
        "picture": html.url_of(workspace.pictures.path(frame.image)),
        "depth": html.url_of(workspace.prediction_picture(prediction)),
        "proposals": [_proposal(proposed == number) for number in object_numbers(proposed)],
        "movers": movers,
        "scale": desk.setup.scale.to_json(),
        "relative": prediction.relative,
    }


def _proposal(mask: Mask) -> Answer:
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return {"path": _outline(mask), "inside": [int(x), int(y)]}


def _outline(mask: Mask) -> str:
    """An SVG path around a mask."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_TC89_L1)
    return " ".join("M" + "L".join(f"{x},{y}" for x, y in contour.reshape(-1, 2)) + "Z" for contour in contours)


def _heading(velocity: tuple[float, float, float]) -> str:
    """Where to, in words.

    >>> _heading((-8.0, 0.0, 1.0)), _heading((3.0, 0.0, -4.0)), _heading((0.0, 0.0, 0.0))
    ('to the left', 'oncoming, to the right', '')
    """
    right, _down, forward = velocity
    largest = max(abs(right), abs(forward))
    along = ("away" if forward > 0 else "oncoming") if abs(forward) > 0.3 * largest else ""
    across = ("to the right" if right > 0 else "to the left") if abs(right) > 0.3 * largest else ""
    return ", ".join(filter(None, (along, across)))


@_told
def look_ahead(workspace: Workspace, asked: Asked) -> Answer:
    """A variant as it would come out now, with a mover's arrow or speed still in the hand.

    Returns:
        `picture`, a data URL, and a `note`; or an `error`.
    """
    desk = _desk(workspace, asked)
    setup = desk.setup
    if "to" in asked:
        setup = desk.drag(int(_number(asked, "mover")), _point(asked["to"]))
    elif "speed" in asked:
        setup = desk.speed(int(_number(asked, "mover")), _number(asked, "speed"))
    request = GenerationRequest(
        "",
        variants=1,
        seed=_ANY_SEED,
        model=desk.model,
        condition=desk.condition,
        setup=setup,
        finder=desk.finder,
    )
    width = int(_number(asked, "width"))
    if width < 0:
        raise InputError(f"The preview is to be {width} pixels wide: use 1 or more, or 0 for the frame's own width.")
    rgb = preview(workspace, desk.frame, request, width or desk.frame.width)
    picture = base64.b64encode(encode_jpeg(rgb)).decode()
    return {"picture": f"data:image/jpeg;base64,{picture}", "note": "small" if width else "full size"}


def _text(asked: Asked, name: str) -> str:
    value = asked.get(name) or ""
    if not isinstance(value, str):
        raise InputError(f"{name} is {value!r}, not text: reload the page.")
    return value


def _number(asked: Asked, name: str) -> float:
    value = asked.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not -1e6 < value < 1e6:
        raise InputError(f"{name} is {value!r}: give a number.")
    return float(value)


def _point(value: object) -> Point:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise InputError(f"{value!r} is no point of the picture: reload the page.")
    x, y = (_number({"the point": each}, "the point") for each in value)
    return x, y


def _points(value: object) -> list[Point]:
    if not isinstance(value, list) or not 1 <= len(value) <= 5000:
        raise InputError("The stroke has no points, or too many: paint it in several strokes.")
    return [_point(each) for each in value]
