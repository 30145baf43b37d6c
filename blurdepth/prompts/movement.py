"""Who moves in the end, how fast, and by which words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from blurdepth.errors import InputError
from blurdepth.prompts.reading import Moving, Term, heading, join

ASSUMED_OBJECTS_MPS, ASSUMED_CAMERA_MPS = 8.0, 4.0
WHATEVER = "what moves"


@dataclass
class Movement:
    """What has been said so far about the motion of objects and camera.

    Attributes:
        objects, camera: each on its own.
        direction: of the objects.
        turns: the camera pans or shakes.
        panned: it pans.
        blur_words: that ask for blur without saying of what.
        still_words: that ask for stillness without saying of what.
    """

    objects: Moving = field(default_factory=Moving)
    camera: Moving = field(default_factory=Moving)
    direction: str | None = None
    turns: bool = False
    panned: bool = False
    blur_words: list[str] = field(default_factory=list)
    still_words: list[str] = field(default_factory=list)

    def decide(self) -> tuple[dict[str, float], list[Term]]:
        """Speeds of "objects" and "camera", m/s, and the terms that say so.

        Raises:
            InputError: everything was asked to stand still.
        """
        speeds, terms = {"objects": 0.0, "camera": 0.0}, []
        for name, term, speed in self._movement():
            terms.append(term)
            speeds[name] = max(speeds[name], speed)
        if not (any(speeds.values()) or self.turns):
            speeds = self._assumed()
            meaning = ", ".join(f"{name} {speed:g} m/s" for name, speed in speeds.items() if speed)
            terms.append(Term("", f"assumed: {meaning}"))
        return speeds, terms

    def _assumed(self) -> dict[str, float]:
        """Speeds where none was asked for; what was asked to stand still does."""
        if self.objects.stands and self.camera.stands:
            raise InputError(
                "The prompt asks for everything to stand still, but blur comes from motion: let the camera or "
                'something else move, such as "driving" or "cars 12 m/s".'
            )
        return {
            "objects": 0.0 if self.objects.stands else ASSUMED_OBJECTS_MPS,
            "camera": 0.0 if self.camera.stands else ASSUMED_CAMERA_MPS,
        }

    @property
    def _objects_move(self) -> bool:
        return self.objects.asked or bool(self.blur_words and not self.objects.stands)

    @property
    def _camera_moves(self) -> bool:
        """Blur that nobody else explains is the camera's too."""
        unexplained = self.blur_words and not self.panned and not self.objects.asked
        return self.camera.asked or bool(unexplained and not self.camera.stands)

    def _movement(self) -> Iterator[tuple[str, Term, float]]:
        """What moves or rests by the words: "objects" or "camera", its term, and its speed in m/s."""
        if self._objects_move:
            speed = self.objects.speed(ASSUMED_OBJECTS_MPS)
            name = " and ".join(self.objects.names) or "objects"
            words = join(*self.objects.words, *self.blur_words)
            yield "objects", Term(words, f"{name} {speed:g} m/s{heading(self.direction)}"), speed
        elif self.still_words:
            yield "objects", Term(join(*self.still_words), f"{WHATEVER} still"), 0.0
        if self._camera_moves:
            speed = self.camera.speed(ASSUMED_CAMERA_MPS)
            words = join(*self.camera.words, *([] if self.objects.asked else self.blur_words))
            yield "camera", Term(words, f"camera {speed:g} m/s forward"), speed
        elif self.camera.stands:
            meaning = "camera stays in its place" if self.turns else "camera still"
            yield "camera", Term(join(*self.camera.words), meaning), 0.0
        if self.blur_words and not self._objects_move and not self._camera_moves:
            yield "camera", Term(join(*self.blur_words), "motion blur"), 0.0

    def left_out(self) -> Iterator[str]:
        """Words about what doesn't move in the end, as far as no term has them."""
        if not self._objects_move:
            yield from self.objects.words
        elif self.still_words:
            yield from self.still_words
        if not (self._camera_moves or self.camera.stands):
            yield from self.camera.words
