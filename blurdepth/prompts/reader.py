"""Reading a prompt word by word. No word is lost: each ends up in a term, or among the ignored ones."""

from __future__ import annotations

import math
import re

from blurdepth.prompts import lexicon
from blurdepth.prompts.condition import MAX_EXPOSURE_S, MAX_SPEED_MPS, MIN_EXPOSURE_S, Condition
from blurdepth.prompts.movement import WHATEVER, Movement
from blurdepth.prompts.reading import Moving, Reading, Term, fraction, join, number
from blurdepth.prompts.tokens import BREAKS, tokenise
from blurdepth.weather import Weather
from blurdepth.weather.sensor import MAX_STOPS

MIN_BLUR_AMOUNT, MAX_BLUR_AMOUNT, USUAL_BLUR = 0.3, 2.0, 0.6
_LONGEST_PHRASE = 4


class Reader:
    """Reads word by word, keeping what was understood; see `prompts.parse_prompt`."""

    def __init__(self) -> None:
        self.who = Movement()
        self.weather: dict[str, float] = {}
        self.others: dict[str, float] = {}
        self.terms: dict[str, Term] = {}
        self.ignored: list[str] = []
        self.blur_amount = 1.0
        self.weight = 1.0
        self.anything = False
        self.in_prompt = True
        self._begin_clause()

    def _begin_clause(self) -> None:
        self.strength_words: list[str] = []
        self.strength: float | None = None
        self.degree = 1.0
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
        tokens = tokenise(text)
        words, at = [token.text for token in tokens], 0
        while at < len(words):
            self.weight = tokens[at].weight
            # "No fog but snow" asks for snow; "light but steady rain" for little.
            if words[at] in BREAKS or (words[at] == "but" and self.negated):
                self._end_clause()
                at += 1
                continue
            at += self._quantity(words, at) or self._phrase(words, at)
        self._end_clause()

    def _end_clause(self) -> None:
        if self.speed:
            self._take_speed(self.who.objects)
        self._drop_strength()
        if self.still:
            self._stand(*self.still)
        self._begin_clause()

    def _phrase(self, tokens: list[str], at: int) -> int:
        """Take the longest known phrase that starts here, else one word: how many words were taken."""
        for length in range(min(_LONGEST_PHRASE, len(tokens) - at), 0, -1):
            words = " ".join(tokens[at : at + length])
            if words in lexicon.PLACES or words in lexicon.QUANTITY_NAMES:
                self.ignored.append(words)
                return length
            if self._read_weather(words) or self._read_movement(words) or self._read_manner(words):
                self.anything = True
                if self.weight != 1:
                    self.ignored.append(f"{words} ×{self.weight:g}")
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
            self.strength, self.weight = lexicon.STRENGTHS[words], 1.0
            self.strength_words.append(words)
        elif words in lexicon.DEGREES:
            self.degree, self.weight = self.degree * lexicon.DEGREES[words], 1.0
            self.strength_words.append(words)
        elif words in lexicon.FAIR:
            self._note("clear", words, "clear" if self.wanted else "not clear")
        elif words in lexicon.WEATHER:
            kind, usual = lexicon.WEATHER[words]
            strength = min((usual if self.strength is None else self.strength) * self.degree * self.weight, 1.0)
            words = join(*self.strength_words, words, self._said_weight())
            self._set_weather(kind, words, strength if self.wanted else 0.0)
            self._forget_strength()
        else:
            return False
        return True

    def _drop_strength(self) -> None:
        self.ignored.extend(self.strength_words)
        self._forget_strength()

    def _forget_strength(self) -> None:
        self.strength_words, self.strength, self.degree = [], None, 1.0

    def _said_weight(self) -> str:
        """The weight of the brackets around the words, which is taken with this."""
        said = "" if self.weight == 1 else f"×{self.weight:g}"
        self.weight = 1.0
        return said

    def _set_weather(self, kind: str, words: str, strength: float) -> None:
        self.weather[kind] = strength
        self.last_kind = kind if strength else None
        said = kind.replace("_", " ")
        self._note(kind, words, said if strength else f"no {said}", strength or None)

    def _read_movement(self, words: str) -> bool:
        """Who moves: actors and the camera."""
        if words in lexicon.ACTORS:
            self._actor(words)
        elif words in lexicon.CAMERA:
            self.who.camera.aside.append(words)
            self._turn_to(self.who.camera)
        elif words in lexicon.ACTORS_MOVE_TOO and self.actors and self.wanted:
            self.who.objects.say(words)
            self.in_motion = True
        elif words in lexicon.CAMERA_MOVES:
            self.who.camera.say(words)
            self.who.camera.usual_mps, self.who.camera.stands = lexicon.CAMERA_MOVES[words], not self.wanted
            self._turn_to(self.who.camera)
        elif words in lexicon.STILL_CAMERA:
            self.who.camera.say(words)
            self.who.camera.stands = self.wanted
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
            moving = self.subject or self.who.objects
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
            self.who.objects.say(words, name)
            self.who.objects.stands, self.in_motion = False, True
            self._turn_to(self.who.objects)
        elif self.in_prompt:
            self._rest(f"no {words}", name, f"no moving {name}")
        else:
            self.ignored.append(words)

    def _set_still(self, words: str, wanted: bool) -> None:
        self.still = (join(self.still[0], words) if self.still else words, wanted)

    def _stand(self, words: str, wanted: bool) -> None:
        """The clause is over and somebody in it is to stand still, or (not wanted) must not."""
        if self.subject is self.who.camera:
            self.who.camera.say(words)
            self.who.camera.stands = wanted
        elif self.actors:
            for name in dict.fromkeys(self.actors):
                self._freeze(words, name, wanted)
        elif wanted:
            self.who.still_words.append(words)
            self.who.objects.stands = not self.who.objects.surely
        else:
            self._freeze(words, WHATEVER, wanted)

    def _freeze(self, words: str, name: str, wanted: bool) -> None:
        """Something is to stand still or, in a negative, must not."""
        if wanted:
            self._rest(words, name, f"{name} still")
            return
        self.who.objects.stands = False
        known = name != WHATEVER and not self.who.objects.names
        self.who.objects.say(f"not {words}", name if known else "")
        self._note(f"actor {name}", f"not {words}", f"blur on {name}")

    def _rest(self, words: str, name: str, meaning: str) -> None:
        """An actor doesn't move; others that do win."""
        self._note(f"actor {name}", join(*self.who.objects.take_out(name), words), meaning)
        self.who.objects.stands = not self.who.objects.surely

    def _blur(self, words: str) -> None:
        """Blur is asked for, with an amount where one is said; or not asked for, which makes it less."""
        # Who doesn't want to see "no motion blur" wants to see some.
        if self.wanted or (not self.in_prompt and self.negated):
            self.who.blur_words.append(words)
            strength = USUAL_BLUR if self.strength is None else self.strength
            amount = strength * self.degree * self.weight / USUAL_BLUR
            words = join(*self.strength_words, words, self._said_weight())
            self._forget_strength()
        else:
            amount, words = 0.5, f"not {words}"
        self.negated = False
        if amount != 1:
            self.blur_amount = min(max(amount, MIN_BLUR_AMOUNT), MAX_BLUR_AMOUNT)
            self._note("amount of blur", words, "more blur" if amount > 1 else "less blur")

    def _motion(self, words: str) -> None:
        if not self.wanted:
            self._set_still(f"not {words}", True)
        elif self.subject is self.who.camera:
            self.who.camera.say(words)
        else:
            self.who.blur_words.append(words)
            self.in_motion = True

    def _direction(self, words: str) -> bool:
        """Where to; a bare "left" only after something that moves, and of the camera only forward is known."""
        bare = words in lexicon.HEADINGS
        if not self.wanted or self.subject is self.who.camera or (bare and not self.in_motion):
            self.ignored.append(words)
            return not bare
        self.who.direction = lexicon.HEADINGS[words] if bare else lexicon.DIRECTIONS[words]
        self.who.objects.say(words)
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
        if tokens[at] == "iso" and at + 1 < len(tokens) and (speed := number(tokens[at + 1])):
            self._iso(f"iso {tokens[at + 1]}", speed)
            return 2
        value = number(tokens[at])
        if value is None:
            return 0
        for length in (3, 2, 1):
            unit = " ".join(tokens[at + 1 : at + 1 + length])
            if unit in lexicon.SPEED_UNITS or unit in lexicon.TIME_UNITS:
                self._with_unit(f"{tokens[at]} {unit}", value, unit)
                return 1 + unit.count(" ") + 1
        if self.last_kind is None and re.fullmatch(r"1/\d\d+", tokens[at]):
            self._with_unit(tokens[at], value, "s")
            return 1
        if value > 1 or not (self.last_kind or _weather_starts(tokens, at + 1)):
            return 0
        if self.last_kind:
            self._set_weather(self.last_kind, f"{self.last_kind} {tokens[at]}", value)
        else:
            self.strength = value
            self.strength_words.append(tokens[at])
        return 1

    def _with_unit(self, words: str, value: float, unit: str) -> None:
        if not self.wanted:
            self.ignored.append(words)
        elif unit in lexicon.SPEED_UNITS:
            self._speed(words, min(value * lexicon.SPEED_UNITS[unit], MAX_SPEED_MPS))
            self.anything = True
        else:
            self._shutter(words, value * lexicon.TIME_UNITS[unit])
            self.anything = True

    def _iso(self, words: str, speed: float) -> None:
        """Noise by the gain: one stop for each doubling over ISO 100, as `weather.sensor` counts it."""
        if not self.wanted:
            self.ignored.append(words)
            return
        strength = min(max(math.log2(speed / 100) / MAX_STOPS["noise"], 0.0), 1.0)
        self._set_weather("noise", words, round(strength, 2))
        self.anything = True

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
        self.who.panned = bool(self.others.get("pan_deg"))
        self.who.turns = self.who.panned or bool(self.others.get("shake"))
        speeds, terms = self.who.decide()
        condition = Condition(
            weather=Weather(**self.weather),
            camera_speed_mps=speeds["camera"],
            camera_still=self.who.camera.stands,
            object_speed_mps=speeds["objects"],
            direction=self.who.direction if speeds["objects"] else None,
            **self._amounts(),
        )
        ignored = tuple(dict.fromkeys([*self.ignored, *self.who.left_out()]))
        return Reading(condition, (*self.terms.values(), *terms), ignored)

    def _amounts(self) -> dict[str, float]:
        """Exposure, pan and shake, scaled by the amount of blur that was asked for."""
        if self.blur_amount == 1:
            return self.others
        exposure_s = self.others.get("exposure_s", Condition.exposure_s) * self.blur_amount
        pan, shake = (self.others.get(name, 0.0) * self.blur_amount for name in ("pan_deg", "shake"))
        return {
            "exposure_s": min(max(exposure_s, MIN_EXPOSURE_S), MAX_EXPOSURE_S),
            "pan_deg": pan,
            "shake": min(shake, 1.0),
        }


def _weather_starts(tokens: list[str], at: int) -> bool:
    return any(" ".join(tokens[at : at + length]) in lexicon.WEATHER for length in range(1, _LONGEST_PHRASE + 1))
