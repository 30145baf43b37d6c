"""Reading a prompt word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from blurdepth.prompts import lexicon
from blurdepth.prompts.condition import MAX_EXPOSURE_S, MAX_SPEED_MPS, MIN_EXPOSURE_S, Condition
from blurdepth.weather import Weather

ASSUMED_OBJECTS_MPS, ASSUMED_CAMERA_MPS = 8.0, 4.0

_TOKEN = re.compile(r"\d+(?:[./]\d+)?%?|(?:km/h|m/s)(?![^\W\d_])|[^\W\d_]+(?:['’][^\W\d_]+)?|[,.;:!?\n]")
_BREAKS = frozenset(",.;:!?\n")
_LONGEST_PHRASE = 4


@dataclass(frozen=True)
class Term:
    """One thing that was understood.

    Attributes:
        words: what was written; empty for an assumption.
        meaning: what it was taken for.
        strength: [0, 1], or None where there is none.
    """

    words: str
    meaning: str
    strength: float | None = None

    @property
    def label(self) -> str:
        """For a chip.

        >>> Term("dense fog", "fog", 0.9).label
        'fog 0.9'
        """
        return self.meaning if self.strength in (None, 1.0) else f"{self.meaning} {self.strength:.2g}"


@dataclass(frozen=True)
class Reading:
    """What became of a prompt: the condition, the terms it came from, and the words that changed nothing."""

    condition: Condition
    understood: tuple[Term, ...]
    ignored: tuple[str, ...]


def _number(token: str) -> float | None:
    """The value of "12", "0.7", "70%" or "1/30"; None for anything else.

    >>> _number("1/8"), _number("70%"), _number("fog"), _number("1/0")
    (0.125, 0.7, None, None)
    """
    if not token[:1].isdecimal():
        return None
    over, _, under = token.rstrip("%").partition("/")
    divisor = float(under or 1) * (100 if token.endswith("%") else 1)
    return float(over) / divisor if divisor else None


@dataclass
class _Moving:
    """What has been said so far about something that moves."""

    words: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    usual_mps: float = 0.0
    said_mps: float | None = None
    pace: float = 1.0
    stands: bool = False

    @property
    def asked(self) -> bool:
        return bool(self.words) and not self.stands

    def speed(self, otherwise: float) -> float:
        """Metres per second, by what was said or what is usual."""
        speed = (self.usual_mps or otherwise) * self.pace if self.said_mps is None else self.said_mps
        return float(min(round(speed, 1), MAX_SPEED_MPS))


class Reader:
    """Reads word by word, keeping what was understood; see `prompts.parse_prompt`."""

    def __init__(self) -> None:
        self.objects, self.camera = _Moving(), _Moving()
        self.weather: dict[str, float] = {}
        self.others: dict[str, float] = {}
        self.direction: str | None = None
        self.terms: list[Term] = []
        self.ignored: list[str] = []
        self.blur_words: list[str] = []
        self.anything = False
        self._begin_clause()

    def _begin_clause(self) -> None:
        self.strength: tuple[str, float] | None = None
        self.speed: tuple[str, float] | None = None
        self.still: str | None = None
        self.negated = False
        self.subject: _Moving | None = None
        self.last_kind: str | None = None

    def read(self, text: str, wanted: bool) -> None:
        """Read one text; `wanted` is False for a negative."""
        tokens = _TOKEN.findall(text.lower())
        at = 0
        while at < len(tokens):
            if tokens[at] in _BREAKS:
                self._end_clause(wanted)
                at += 1
                continue
            at += self._quantity(tokens, at) or self._phrase(tokens, at, wanted)
        self._end_clause(wanted)

    def _end_clause(self, wanted: bool) -> None:
        if self.speed:
            self._take_speed(self.objects)
        if self.strength:
            self.ignored.append(self.strength[0])
        if self.still:
            self._freeze(self.still, "what moves", wanted)
        self._begin_clause()

    def _phrase(self, tokens: list[str], at: int, wanted: bool) -> int:
        """Take the longest known phrase that starts here, else one word: how many words were taken."""
        for length in range(min(_LONGEST_PHRASE, len(tokens) - at), 0, -1):
            words = " ".join(tokens[at : at + length])
            if self._known(words, wanted and not self.negated):
                self.anything = True
                return length
        word = tokens[at]
        if word in lexicon.NEGATIONS:
            self.negated = True
        elif word in lexicon.SCENES:
            self.anything = True
            self.ignored.append(word)
        elif word not in lexicon.STOP_WORDS:
            self.ignored.append(word)
        return 1

    def _known(self, words: str, wanted: bool) -> bool:
        return (
            self._read_weather(words, wanted) or self._read_movement(words, wanted) or self._read_manner(words, wanted)
        )

    def _read_weather(self, words: str, wanted: bool) -> bool:
        if words in lexicon.STRENGTHS:
            self.strength = (words, lexicon.STRENGTHS[words])
        elif words in lexicon.FAIR:
            self._add_once(words, "clear" if wanted else "not clear")
        elif words in lexicon.WEATHER:
            kind, strength = lexicon.WEATHER[words]
            self._set_weather(kind, words, strength if wanted else 0.0)
        else:
            return False
        return True

    def _add_once(self, words: str, meaning: str) -> None:
        if all(term.meaning != meaning for term in self.terms):
            self.terms.append(Term(words, meaning))

    def _set_weather(self, kind: str, words: str, strength: float) -> None:
        if self.strength and strength:
            words, strength = f"{self.strength[0]} {words}", self.strength[1]
        self.strength = None
        self.terms = [term for term in self.terms if term.meaning not in (kind, f"no {kind}")]
        self.weather[kind] = strength
        self.last_kind = kind if strength else None
        self.terms.append(Term(words, kind, strength) if strength else Term(words, f"no {kind}"))

    def _read_movement(self, words: str, wanted: bool) -> bool:
        """Who moves: actors and the camera."""
        if words in lexicon.ACTORS:
            self._actor(words, wanted)
        elif words in lexicon.CAMERA:
            self._turn_to(self.camera, [])
        elif words in lexicon.CAMERA_MOVES:
            self._turn_to(self.camera, [words])
            self.camera.usual_mps, self.camera.stands = lexicon.CAMERA_MOVES[words], not wanted
        elif words in lexicon.STILL_CAMERA:
            self.camera.words.append(words)
            self.camera.stands = wanted
        elif words in lexicon.PAN or words in lexicon.SHAKE:
            name, amount = ("pan_deg", lexicon.PAN) if words in lexicon.PAN else ("shake", lexicon.SHAKE)
            self.others[name] = amount[words] if wanted else 0.0
            meaning = f"pan {amount[words]:g}°" if name == "pan_deg" else name
            self.terms.append(Term(words, f"camera {meaning}" if wanted else f"no camera {name[:5]}"))
        else:
            return False
        return True

    def _read_manner(self, words: str, wanted: bool) -> bool:
        """How it moves: pace, direction, stillness, shutter."""
        moving = self.subject or self.objects
        if words in lexicon.BLUR:
            self._blur(words, wanted)
        elif words in lexicon.PACE:
            moving.pace = lexicon.PACE[words] if wanted else 1 / lexicon.PACE[words]
            moving.words.append(words)
        elif words in lexicon.DIRECTIONS and wanted:
            self.direction = lexicon.DIRECTIONS[words]
            self.objects.words.append(words)
        elif words in lexicon.STILL or (words in lexicon.SHARP and not wanted):
            self.still = words
        elif words in lexicon.SHUTTERS and wanted:
            self._shutter(words, lexicon.SHUTTERS[words])
        else:
            return False
        return True

    def _actor(self, words: str, wanted: bool) -> None:
        name, usual_mps = lexicon.ACTORS[words]
        if self.still:
            self._freeze(f"{self.still} {words}", name, wanted)
            self.still = None
        elif wanted:
            self._turn_to(self.objects, [words])
            self.objects.usual_mps = max(self.objects.usual_mps, usual_mps)
            if name not in self.objects.names:
                self.objects.names.append(name)
        else:
            self.ignored.append(words)

    def _freeze(self, words: str, name: str, wanted: bool) -> None:
        """Something is to stand still or, in a negative, must not."""
        if wanted:
            self.terms.append(Term(words, f"{name} still"))
            self.objects.stands = not self.objects.words
            return
        self.objects.stands = False
        if not self.objects.names:
            speeds = [speed for actor, speed in lexicon.ACTORS.values() if actor == name]
            self.objects.names = [name] if speeds else []
            self.objects.usual_mps = max(speeds, default=0.0)
        self.objects.words.append(f"not {words}")
        self._add_once(f"not {words}", f"blur on {name}")

    def _blur(self, words: str, wanted: bool) -> None:
        if wanted:
            self.blur_words.append(words)
        else:
            self.objects.pace *= 0.5
            self.camera.pace *= 0.5
            self.terms.append(Term(f"not {words}", "less blur"))

    def _turn_to(self, moving: _Moving, words: list[str]) -> None:
        moving.words.extend(words)
        self.subject = moving
        if self.speed:
            self._take_speed(moving)

    def _take_speed(self, moving: _Moving) -> None:
        if self.speed:
            moving.words.append(self.speed[0])
            moving.said_mps = self.speed[1]
            moving.stands = False
        self.speed = None

    def _shutter(self, words: str, seconds: float) -> None:
        self.others["exposure_s"] = min(max(seconds, MIN_EXPOSURE_S), MAX_EXPOSURE_S)
        self.terms.append(Term(words, f"exposure {_fraction(self.others['exposure_s'])}"))

    def _quantity(self, tokens: list[str], at: int) -> int:
        """Take a number with its unit, or a strength right after its weather: how many words were taken."""
        value = _number(tokens[at])
        if value is None:
            return 0
        unit = tokens[at + 1] if at + 1 < len(tokens) else ""
        if unit in lexicon.SPEED_UNITS:
            speed = min(value * lexicon.SPEED_UNITS[unit], MAX_SPEED_MPS)
            self.speed = (f"{tokens[at]} {unit}", speed)
            if self.subject:
                self._take_speed(self.subject)
        elif unit in lexicon.TIME_UNITS:
            self._shutter(f"{tokens[at]} {unit}", value * lexicon.TIME_UNITS[unit])
        elif self.last_kind and value <= 1:
            self._set_weather(self.last_kind, f"{self.last_kind} {tokens[at]}", value)
            return 1
        else:
            return 0
        self.anything = True
        return 2

    def reading(self) -> Reading:
        """Everything read so far, as one condition with its terms."""
        terms, moves = list(self.terms), list(self._movement())
        speeds = {"objects": 0.0, "camera": 0.0}
        for name, term, speed in moves:
            speeds[name] = speed
            terms.append(term)
        condition = Condition(
            weather=Weather(**self.weather),
            camera_speed_mps=speeds["camera"],
            object_speed_mps=speeds["objects"],
            direction=self.direction,
            **self.others,
        )
        if not condition.moves:
            condition = replace(condition, object_speed_mps=ASSUMED_OBJECTS_MPS, camera_speed_mps=ASSUMED_CAMERA_MPS)
            meaning = f"objects {ASSUMED_OBJECTS_MPS:g} m/s, camera {ASSUMED_CAMERA_MPS:g} m/s"
            terms.append(Term("", f"assumed: {meaning}"))
        return Reading(condition, tuple(terms), tuple(dict.fromkeys(self.ignored)))

    def _movement(self) -> Iterator[tuple[str, Term, float]]:
        """What moves by the words: "objects" or "camera", its term, and its speed in m/s."""
        plain_blur = bool(self.blur_words) and not self.camera.asked and not self.others.get("pan_deg")
        if self.objects.asked or (self.blur_words and not self.objects.stands):
            speed = self.objects.speed(ASSUMED_OBJECTS_MPS)
            name = " and ".join(self.objects.names) or "objects"
            words = " ".join(dict.fromkeys(self.objects.words + self.blur_words))
            yield "objects", Term(words, f"{name} {speed:g} m/s{_heading(self.direction)}"), speed
        if self.camera.asked or (plain_blur and not self.objects.asked and not self.camera.stands):
            speed = self.camera.speed(ASSUMED_CAMERA_MPS)
            words = " ".join(dict.fromkeys(self.camera.words or self.blur_words))
            yield "camera", Term(words, f"camera {speed:g} m/s forward"), speed
        elif self.camera.stands:
            yield "camera", Term(" ".join(self.camera.words), "camera still"), 0.0


def _heading(direction: str | None) -> str:
    return {"left": " to the left", "right": " to the right", "oncoming": " oncoming"}.get(direction or "", "")


def _fraction(seconds: float) -> str:
    """A shutter time as people write it.

    >>> _fraction(1 / 30), _fraction(0.5)
    ('1/30 s', '0.5 s')
    """
    return f"1/{round(1 / seconds)} s" if seconds < 0.3 else f"{seconds:g} s"
