"""Variants of many frames: folders, the prompt book, several processes side by side."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from blurdepth.diffusion import PaintStep
from blurdepth.errors import InputError
from blurdepth.generation import GenerationRequest, generate_steps
from blurdepth.images import read_bytes
from blurdepth.prompts import SHIPPED_BOOK, load_prompt_book
from blurdepth.store.records import BookEntry, Sample
from blurdepth.workspace import Workspace

Item = TypeVar("Item")

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Skipped:
    """A frame, or one of its prompts, of which nothing could be made."""

    frame: Path
    prompt: str
    reason: str


def pictures_in(paths: Sequence[Path]) -> list[Path]:
    """The paths, each folder among them replaced by its pictures in the order of their names.

    Raises:
        InputError: a folder has no pictures.
    """
    found = []
    for path in paths:
        inside = sorted(each for each in path.iterdir() if each.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"The folder {path} has no pictures: it must hold {', '.join(SUFFIXES)} files.")
        found += inside
    return found


def own_share(items: Sequence[Item]) -> list[Item]:
    """What this process does of the items, when `accelerate launch` has started several: every n-th of them.

    Source: the environment variables RANK and WORLD_SIZE, which torch and accelerate agree on.
    """
    return list(items[int(os.environ.get("RANK", "0")) :: int(os.environ.get("WORLD_SIZE", "1"))])


def read_book(workspace: Workspace) -> list[BookEntry]:
    """The prompt book as people have changed it in this data folder."""
    return workspace.store.prompts.entries(load_prompt_book(SHIPPED_BOOK))


def requests_at(request: GenerationRequest, book: Sequence[BookEntry], place: int) -> list[GenerationRequest]:
    """What is asked of the frame at this place of a batch.

    Without a book it is the request; else one request a variant, each with the next prompt of the book, from where the
    frame before ended.
    """
    if not book:
        return [request]
    entries = [book[(place * request.variants + k) % len(book)] for k in range(request.variants)]
    return [
        replace(request, prompt=entry.prompt, negative=entry.negative, variants=1, seed=request.seed + k)
        for k, entry in enumerate(entries)
    ]


def generate_batch(
    workspace: Workspace, frames: Sequence[Path], request: GenerationRequest, book: Sequence[BookEntry] = ()
) -> Iterator[Sample | Skipped]:
    """Make variants of this process's share of the frames; one that fails doesn't stop the others.

    What was made before is handed out again at once, so an interrupted batch is gone on with by starting it again.
    """
    for place, path in own_share(list(enumerate(frames))):
        for each in frame_steps(workspace, path, requests_at(request, book, place)):
            if not isinstance(each, PaintStep):
                yield each


def frame_steps(
    workspace: Workspace, path: Path, requests: Sequence[GenerationRequest]
) -> Generator[Sample | Skipped | PaintStep]:
    """Do the requests for one frame; one that fails doesn't stop the others. Closing it cancels what is left."""
    try:
        frame = workspace.add_frame(read_bytes(path), path.name)
    except InputError as error:
        yield Skipped(path, "", str(error))
        return
    for request in requests:
        try:
            yield from generate_steps(workspace, frame, request)
        except InputError as error:
            yield Skipped(path, request.prompt, str(error))
