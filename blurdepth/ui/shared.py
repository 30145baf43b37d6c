"""What all tabs share: how errors are told, how pictures are clicked, which models there are."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from blurdepth.errors import BlurdepthError, InputError, NotFoundError
from blurdepth.estimators import KNOWN_MODELS
from blurdepth.evaluate import Example
from blurdepth.images import LIMITS, read_image
from blurdepth.ui import html
from blurdepth.workspace import Workspace

# One heavy computation at a time; the light ones never wait for it.
HEAVY: dict[str, Any] = {"concurrency_id": "heavy", "concurrency_limit": 1, "api_visibility": "private"}
LIGHT: dict[str, Any] = {"concurrency_limit": None, "api_visibility": "private", "show_progress": "hidden"}

ASSETS = Path(__file__).resolve().parents[2] / "assets"
_EXAMPLES, _EXPOSURES = ASSETS / "frames", ASSETS / "exposures"

P = ParamSpec("P")
T = TypeVar("T")

_CLICK = """
element.addEventListener('click', event => {
  const card = event.target.closest('[data-id]');
  if (card) trigger('click', {id: card.dataset.id});
});
"""


def told(function: Callable[P, T]) -> Callable[P, T]:
    """Show a `BlurdepthError` of a handler as a notice on the page, or as the error of an endpoint."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def steps(*args: P.args, **kwargs: P.kwargs) -> Iterator[Any]:
            try:
                yield from function(*args, **kwargs)
            except BlurdepthError as error:
                raise _notice(error) from error

        return steps  # type: ignore[return-value]

    @functools.wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BlurdepthError as error:
            raise _notice(error) from error

    return once


def _notice(error: BlurdepthError) -> gr.Error:
    return gr.Error(escape(str(error), quote=False), print_exception=False)


def checked(asked: object) -> dict[str, Any]:
    """What the page asks of a server function, which anybody may call with anything.

    Raises:
        InputError: it is no object, or holds what is no text in any encoding.
    """
    if not isinstance(asked, dict):
        raise InputError("The page asks for something that is no object of names and values: reload it.")
    try:
        json.dumps(asked, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError("There is half a character in what the page asks for: type it again.") from error
    return asked


def browser_state(key: str, default: Any) -> gr.BrowserState:
    """A value that this browser keeps over reloads and restarts of the app, from the moment it changes.

    The secret is fixed so that a restart can read it; nothing in it is secret.
    """
    return gr.BrowserState(default, storage_key=key, secret="blurdepth")


def frame_input(label: str) -> gr.File:
    """An input for one picture that hands over the very file that came.

    `gr.Image` would fail without a reason on what is no picture, and clip 16 bits. Handlers set it back to None, so
    that it always takes another.
    """
    return gr.File(label=label, file_types=["image", ".webp", ".tif", ".tiff"], type="filepath", height=156)


def uploaded(path: str | None) -> Path:
    """The file behind an upload, which a visitor names and we must not trust.

    Raises:
        InputError: there is none, or the path doesn't lie in the upload folder of this app.
    """
    if not isinstance(path, str) or not path:
        raise InputError(f"No file came through: choose a picture ({LIMITS}).")
    resolved = Path(path).resolve()
    if not resolved.is_relative_to(Path(get_upload_folder()).resolve()):
        raise InputError(
            "The frame is not an upload of this page: choose it again, or use gradio_client.handle_file()."
        )
    return resolved


def example_cards() -> list[html.Card]:
    """The example frames that ship with the project."""
    return [html.Card(path.name, path, path.stem.replace("_", " ")) for path in sorted(_EXAMPLES.glob("*.jpg"))]


def example_frame(name: str) -> Path:
    """The file of an example frame.

    Raises:
        NotFoundError: there is none of this name.
    """
    for path in _EXAMPLES.glob("*.jpg"):
        if path.name == name:
            return path
    raise NotFoundError(f"There is no example frame {name!r}: reload the page.")


def exposure_cards() -> list[html.Card]:
    """The blurred streets with exact depth that ship with the project."""
    return [
        html.Card(path.stem, path, f"{path.stem.replace('_', ' ').capitalize()}: has its exact depth", "", "target")
        for path in sorted(_EXPOSURES.glob("*.png"))
    ]


def read_exposure(name: str) -> Example:
    """A blurred street with its exact depth.

    Raises:
        NotFoundError: there is none of this name.
    """
    if name not in {path.stem for path in _EXPOSURES.glob("*.png")}:
        raise NotFoundError(f"There is no blurred street {name!r}: reload the page.")
    with np.load(_EXPOSURES / f"{name}.npz") as truth:
        target, regions = truth["mean_inverse_depth"].astype(np.float32), truth["regions"]
    return Example(name, read_image(_EXPOSURES / f"{name}.png"), target, regions)


def picture_grid(label: str, **more: Any) -> gr.HTML:
    """An HTML component for `html.grid`; its `click` event carries the id of the card (see `clicked`)."""
    return gr.HTML(js_on_load=_CLICK, label=label, **more)


def clicked(event: gr.EventData) -> str:
    """The id of the card that was clicked.

    Raises:
        NotFoundError: the event carries none.
    """
    found = (event._data or {}).get("id")
    if not isinstance(found, str):
        raise NotFoundError("The picture that was clicked is not there any more: reload the page.")
    return found


def unseen(element: str) -> gr.HTML:
    """A component that carries a text from one handler to another; unlike one that isn't visible, its changes count."""
    return gr.HTML("", html_template="<i></i>", visible="hidden", elem_id=element)


def limits(choices: dict[str, gr.components.Component]) -> str:
    """What choices can be, by their names, as JSON for memory.js; nothing of one that can be anything of its kind."""

    def of(choice: gr.components.Component) -> dict[str, Any]:
        if isinstance(choice, gr.Slider):
            return {"minimum": choice.minimum, "maximum": choice.maximum}
        return {"options": [value for _, value in choice.choices]} if isinstance(choice, gr.Radio) else {}

    return json.dumps({name: of(choice) for name, choice in choices.items()})


def model_choices(workspace: Workspace) -> list[tuple[str, str]]:
    """(label, name) of every model that is one click away: the known ones and the checkpoints of jobs."""
    known = [(_model_label(model), model.id) for model in KNOWN_MODELS]
    jobs = [job for job in workspace.store.jobs.jobs("done") if job.checkpoint]
    return [*((f"Fine-tuned {job.id} (from {job.settings.get('base')})", job.id) for job in jobs), *known]


def _model_label(model: Any) -> str:
    size = f"{model.download_mb} MB download, {model.licence}" if model.download_mb else "ready"
    return f"{model.name} ({size})"


def download_progress(progress: gr.Progress, model: str) -> Callable[[int, int], None]:
    """A callback that shows how far the download of a model has come."""

    def show(done: int, total: int) -> None:
        progress((done, total), desc=f"Downloading {model}: {done // 10**6} of {total // 10**6} MB", unit="bytes")

    return show
