"""Reading a prompt word by word. No word is lost: each ends up in a term, or among the ignored ones."""

from __future__ import annotations

import re
from collections.abc import Iterator

from blurdepth.errors import InputError
from blurdepth.prompts import lexicon
from blurdepth.prompts.condition import MAX_EXPOSURE_S, MAX_SPEED_MPS, MIN_EXPOSURE_S, Condition
from blurdepth.prompts.reading import Moving, Reading, Term, fraction, heading, join, number
from blurdepth.weather import Weather

ASSUMED_OBJECTS_MPS, ASSUMED_CAMERA_MPS = 8.0, 4.0

_TOKEN = re.compile(r"\d+(?:[./]\d+)?%?|(?:km/h|m/s)(?![^\W\d_])|[^\W\d_]+(?:['’][^\W\d_]+)?|[,.;:!?\n]")
_BREAKS = frozenset(",.;:!?\n")
_LONGEST_PHRASE = 4
_WHATEVER = "what moves"


class Reader:
    """Reads word by word, keeping what was understood; see `prompts.parse_prompt`."""

    def __init__(self) -> None:
        self.objects, self.camera = Moving(), Moving()
        self.weather: dict[str, float] = {}
        self.others: dict[str, float] = {}
        self.direction: str | None = None
        self.terms: dict[str, Term] = {}
        self.ignored: list[str] = []
        self.blur_words: list[str] = []
        self.still_words: list[str] = []
        self.anything = False
        self.in_prompt = True
        self._begin_clause()

    def _begin_clause(self) -> None:
        self.strength_words: list[str] = []
        self.strength: float | None = None
        self.weaker = 1.0
        self.speed: tuple[str, float] | None = None
        self.still: tuple[str, bool] | None = None
        self.negated = False
        self.subject: Moving | None = None
        self.actors: list[str] = []
        self.in_motion = False
        self.last_kind: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether what comes next is asked for: not in a negative, nor after a "no"."""
        return self.in_prompt and not self.negated

    def read(self, text: str, wanted: bool) -> None:
        """Read one text; `wanted` is False for a negative."""
        self.in_prompt = wanted
        tokens = _TOKEN.findall(text.lower())
        at = 0
        while at < len(tokens):
            if tokens[at] in _BREAKS:
                self._end_clause()
                at += 1
                continue
            at += self._quantity(tokens, at) or self._phrase(tokens, at)
        self._end_clause()

    def _end_clause(self) -> None:
        if self.speed:
            self._take_speed(self.objects)
        self._drop_strength()
        if self.still:
            self._stand(*self.still)
        self._begin_clause()

    def _phrase(self, tokens: list[str], at: int) -> int:
        """Take the longest known phrase that starts here, else one word: how many words were taken."""
        for length in range(min(_LONGEST_PHRASE, len(tokens) - at), 0, -1):
            words = " ".join(tokens[at : at + length])
            if words in lexicon.PLACES:
                self.ignored.append(words)
                return length
            if self._read_weather(words) or self._read_movement(words) or self._read_manner(words):
                self.anything = True
                return length
        word = tokens[at]
        if word in lexicon.NEGATIONS:
            self.negated = True
        elif word not in lexicon.STOP_WORDS:
            self.anything |= word in lexicon.SCENES
            self.ignored.append(word)
        return 1

    def _note(self, topic: str, words: str, meaning: str, strength: float | None = None) -> None:
        """Keep what was understood, in place of what was said before on the same topic."""
        before = self.terms.pop(topic, None)
        self.terms[topic] = Term(join(before.words, words) if before else words, meaning, strength)

    def _read_weather(self, words: str) -> bool:
        if words in lexicon.STRENGTHS:
            self.strength = lexicon.STRENGTHS[words]
            self.strength_words.append(words)
        elif words in lexicon.WEAKER:
            self.weaker = lexicon.WEAKER[words]
            self.strength_words.append(words)
        elif words in lexicon.FAIR:
            self._note("clear", words, "clear" if self.wanted else "not clear")
        elif words in lexicon.WEATHER:
            kind, usual = lexicon.WEATHER[words]
            strength = usual if self.strength is None else self.strength
            self._set_weather(kind, join(*self.strength_words, words), strength * self.weaker if self.wanted else 0.0)
            self.strength_words, self.strength, self.weaker = [], None, 1.0
        else:
            return False
        return True

    def _drop_strength(self) -> None:
        self.ignored.extend(self.strength_words)
        self.strength_words, self.strength, self.weaker = [], None, 1.0

    def _set_weather(self, kind: str, words: str, strength: float) -> None:
        self.weather[kind] = strength
        self.last_kind = kind if strength else None
        self._note(kind, words, kind if strength else f"no {kind}", strength or None)

    def _read_movement(self, words: str) -> bool:
        """Who moves: actors and the camera."""
        if words in lexicon.ACTORS:
            self._actor(words)
        elif words in lexicon.CAMERA:
            self.camera.aside.append(words)
            self._turn_to(self.camera)
        elif words in lexicon.CAMERA_MOVES:
            self.camera.say(words)
            self.camera.usual_mps, self.camera.stands = lexicon.CAMERA_MOVES[words], not self.wanted
            self._turn_to(self.camera)
        elif words in lexicon.STILL_CAMERA:
            self.camera.say(words)
            self.camera.stands = self.wanted
        elif words in lexicon.PAN or words in lexicon.SHAKE:
            self._turn(words)
        else:
            return False
        return True

    def _turn(self, words: str) -> None:
        pans = words in lexicon.PAN
        amount = lexicon.PAN[words] if pans else lexicon.SHAKE[words]
        self.others["pan_deg" if pans else "shake"] = amount if self.wanted else 0.0
        name = "pan" if pans else "shake"
        shown = f"camera pan {amount:g}°" if pans else "camera shake"
        self._note(name, words, shown if self.wanted else f"no camera {name}")

    def _read_manner(self, words: str) -> bool:
        """How it moves: pace, direction, stillness, shutter."""
        if words in lexicon.BLUR:
            self._blur(words)
        elif words in lexicon.MOTION:
            self._motion(words)
        elif words in lexicon.PACE:
            moving = self.subject or self.objects
            moving.pace = lexicon.PACE[words] if self.wanted else 1 / lexicon.PACE[words]
            moving.say(words)
            self.in_motion, self.negated = True, False
        elif words in lexicon.DIRECTIONS or words in lexicon.HEADINGS:
            return self._direction(words)
        elif words in lexicon.STILL or (words in lexicon.SHARP and not self.wanted):
            self._set_still(words, self.wanted)
        elif words in lexicon.SHUTTERS and self.wanted:
            self._shutter(words, lexicon.SHUTTERS[words])
        else:
            return False
        return True

    def _actor(self, words: str) -> None:
        name, _ = lexicon.ACTORS[words]
        self._drop_strength()
        self.actors.append(name)
        if self.still:
            still, wanted = self.still
            self.still = None
            self._freeze(join(still, words), name, wanted)
        elif self.wanted:
            self.objects.say(words, name)
            self.objects.stands, self.in_motion = False, True
            self._turn_to(self.objects)
        elif self.in_prompt:
            self._rest(f"no {words}", name, f"no moving {name}")
        else:
            self.ignored.append(words)

    def _set_still(self, words: str, wanted: bool) -> None:
        self.still = (join(self.still[0], words) if self.still else words, wanted)

    def _stand(self, words: str, wanted: bool) -> None:
        """The clause is over and somebody in it is to stand still, or (not wanted) must not."""
        if self.subject is self.camera:
            self.camera.say(words)
            self.camera.stands = wanted
        elif self.actors:
            for name in dict.fromkeys(self.actors):
                self._freeze(words, name, wanted)
        elif wanted:
            self.still_words.append(words)
            self.objects.stands = not self.objects.surely
        else:
            self._freeze(words, _WHATEVER, wanted)

    def _freeze(self, words: str, name: str, wanted: bool) -> None:
        """Something is to stand still or, in a negative, must not."""
        if wanted:
            self._rest(words, name, f"{name} still")
            return
        self.objects.stands = False
        known = name != _WHATEVER and not self.objects.names
        self.objects.say(f"not {words}", name if known else "")
        self._note(f"actor {name}", f"not {words}", f"blur on {name}")

    def _rest(self, words: str, name: str, meaning: str) -> None:
        """An actor doesn't move; others that do win."""
        self._note(f"actor {name}", join(*self.objects.take_out(name), words), meaning)
        self.objects.stands = not self.objects.surely

    def _blur(self, words: str) -> None:
        if self.wanted:
            self.blur_words.append(words)
            return
        self.objects.pace *= 0.5
        self.camera.pace *= 0.5
        self._note("less blur", f"not {words}", "less blur")
        self.negated = False

    def _motion(self, words: str) -> None:
        if not self.wanted:
            self._set_still(f"not {words}", True)
        elif self.subject is self.camera:
            self.camera.say(words)
        else:
            self.blur_words.append(words)
            self.in_motion = True

    def _direction(self, words: str) -> bool:
        """Where to; a bare "left" only after something that moves, and of the camera only forward is known."""
        bare = words in lexicon.HEADINGS
        if not self.wanted or self.subject is self.camera or (bare and not self.in_motion):
            self.ignored.append(words)
            return not bare
        self.direction = lexicon.HEADINGS[words] if bare else lexicon.DIRECTIONS[words]
        self.objects.say(words)
        return True

    def _turn_to(self, moving: Moving) -> None:
        self.subject = moving
        if self.speed:
            self._take_speed(moving)

    def _take_speed(self, moving: Moving) -> None:
        if self.speed:
            words, moving.said_mps = self.speed
            moving.say(words)
            moving.stands = False
        self.speed = None

    def _shutter(self, words: str, seconds: float) -> None:
        self.others["exposure_s"] = min(max(seconds, MIN_EXPOSURE_S), MAX_EXPOSURE_S)
        self._note("exposure", words, f"exposure {fraction(self.others['exposure_s'])}")

    def _quantity(self, tokens: list[str], at: int) -> int:
        """Take a number with its unit, or a strength beside its weather: how many words were taken."""
        value = number(tokens[at])
        if value is None:
            return 0
        unit = tokens[at + 1] if at + 1 < len(tokens) else ""
        words = f"{tokens[at]} {unit}"
        if unit in lexicon.SPEED_UNITS or unit in lexicon.TIME_UNITS:
            if not self.wanted:
                self.ignored.append(words)
                return 2
            if unit in lexicon.SPEED_UNITS:
                self._speed(words, min(value * lexicon.SPEED_UNITS[unit], MAX_SPEED_MPS))
            else:
                self._shutter(words, value * lexicon.TIME_UNITS[unit])
            self.anything = True
            return 2
        if value > 1 or not (self.last_kind or _weather_starts(tokens, at + 1)):
            return 0
        if self.last_kind:
            self._set_weather(self.last_kind, f"{self.last_kind} {tokens[at]}", value)
        else:
            self.strength = value
            self.strength_words.append(tokens[at])
        return 1

    def _speed(self, words: str, speed_mps: float) -> None:
        if not round(speed_mps, 1):
            self._set_still(words, True)
            return
        if self.speed:
            self.ignored.append(self.speed[0])
        self.speed = (words, speed_mps)
        if self.subject:
            self._take_speed(self.subject)

    def reading(self) -> Reading:
        """Everything read so far, as one condition with its terms.

        Raises:
            InputError: everything was asked to stand still.
        """
        terms = list(self.terms.values())
        speeds = {"objects": 0.0, "camera": 0.0}
        for name, term, speed in self._movement():
            terms.append(term)
            speeds[name] = max(speeds[name], speed)
        if not (any(speeds.values()) or self.others.get("pan_deg") or self.others.get("shake")):
            speeds = self._assumed()
            meaning = ", ".join(f"{name} {speed:g} m/s" for name, speed in speeds.items() if speed)
            terms.append(Term("", f"assumed: {meaning}"))
        condition = Condition(
            weather=Weather(**self.weather),
            camera_speed_mps=speeds["camera"],
            camera_still=self.camera.stands,
            object_speed_mps=speeds["objects"],
            direction=self.direction if speeds["objects"] else None,
            **self.others,
        )
        return Reading(condition, tuple(terms), tuple(dict.fromkeys([*self.ignored, *self._left_out()])))

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
        unexplained = self.blur_words and not self.others.get("pan_deg") and not self.objects.asked
        return self.camera.asked or bool(unexplained and not self.camera.stands)

    def _movement(self) -> Iterator[tuple[str, Term, float]]:
        """What moves or rests by the words: "objects" or "camera", its term, and its speed in m/s."""
        if self._objects_move:
            speed = self.objects.speed(ASSUMED_OBJECTS_MPS)
            name = " and ".join(self.objects.names) or "objects"
            words = join(*self.objects.words, *self.blur_words)
            yield "objects", Term(words, f"{name} {speed:g} m/s{heading(self.direction)}"), speed
        elif self.still_words:
            yield "objects", Term(join(*self.still_words), f"{_WHATEVER} still"), 0.0
        if self._camera_moves:
            speed = self.camera.speed(ASSUMED_CAMERA_MPS)
            words = join(*self.camera.words, *([] if self.objects.asked else self.blur_words))
            yield "camera", Term(words, f"camera {speed:g} m/s forward"), speed
        elif self.camera.stands:
            turns = self.others.get("pan_deg") or self.others.get("shake")
            meaning = "camera stays in its place" if turns else "camera still"
            yield "camera", Term(join(*self.camera.words), meaning), 0.0
        if self.blur_words and not self._objects_move and not self._camera_moves:
            yield "camera", Term(join(*self.blur_words), "motion blur"), 0.0

    def _left_out(self) -> Iterator[str]:
        """Words about what doesn't move in the end, as far as no term has them."""
        if not self._objects_move:
            yield from self.objects.words
        elif self.still_words:
            yield from self.still_words
        if not (self._camera_moves or self.camera.stands):
            yield from self.camera.words


def _weather_starts(tokens: list[str], at: int) -> bool:
    return any(" ".join(tokens[at : at + length]) in lexicon.WEATHER for length in range(1, _LONGEST_PHRASE + 1))
