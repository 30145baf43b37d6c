"""What reading a prompt gives, and the small things it is put together from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from blurdepth.prompts import lexicon
from blurdepth.prompts.condition import MAX_SPEED_MPS, Condition

USUAL_MPS = dict(lexicon.ACTORS.values())


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


@dataclass
class Moving:
    """What has been said so far about something that moves.

    Attributes:
        said: what was written, each with the actor that it names, or "".
        aside: words that name it without asking for motion.
        usual_mps: its speed where the actors don't tell.
        said_mps: the speed that was asked for.
        pace: by how much faster than usual.
        stands: it was asked to stand still.
    """

    said: list[tuple[str, str]] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    usual_mps: float = 0.0
    said_mps: float | None = None
    pace: float = 1.0
    stands: bool = False

    @property
    def asked(self) -> bool:
        """Whether it is to move."""
        return bool(self.said) and not self.stands

    @property
    def surely(self) -> bool:
        """Whether it moves even if something else is asked to stand still."""
        return bool(self.names) or self.said_mps is not None

    @property
    def names(self) -> list[str]:
        """The actors that move."""
        return list(dict.fromkeys(name for _, name in self.said if name))

    @property
    def words(self) -> list[str]:
        """All that was written about it."""
        return [*self.aside, *(words for words, _ in self.said)]

    def say(self, words: str, name: str = "") -> None:
        """Keep some words."""
        self.said.append((words, name))

    def take_out(self, name: str) -> list[str]:
        """Forget an actor: the words that named it."""
        own = [words for words, named in self.said if named == name]
        self.said = [(words, named) for words, named in self.said if named != name]
        return own

    def speed(self, otherwise: float) -> float:
        """Metres per second, by what was said or what is usual."""
        usual = max((USUAL_MPS[name] for name in self.names), default=self.usual_mps) or otherwise
        speed = usual * self.pace if self.said_mps is None else self.said_mps
        return float(min(max(round(speed, 1), 0.1), MAX_SPEED_MPS))


def number(token: str) -> float | None:
    """The value of "12", "0.7", "70%" or "1/30"; None for anything else.

    >>> number("1/8"), number("70%"), number("fog"), number("1/0")
    (0.125, 0.7, None, None)
    """
    if not token[:1].isdecimal():
        return None
    over, _, under = token.rstrip("%").partition("/")
    divisor = float(under or 1) * (100 if token.endswith("%") else 1)
    value = float(over) / divisor if divisor else math.inf
    return value if math.isfinite(value) else None


def heading(direction: str | None) -> str:
    """How a chip says a direction.

    >>> heading("left"), heading(None)
    (' to the left', '')
    """
    return {"left": " to the left", "right": " to the right", "oncoming": " oncoming"}.get(direction or "", "")


def fraction(seconds: float) -> str:
    """A shutter time as people write it.

    >>> fraction(1 / 30), fraction(0.5)
    ('1/30 s', '0.5 s')
    """
    return f"1/{round(1 / seconds)} s" if seconds < 0.3 else f"{seconds:g} s"


def join(*parts: str) -> str:
    """Words in their order, each once.

    >>> join("dense fog", "fog 0.7")
    'dense fog 0.7'
    """
    return " ".join(dict.fromkeys(" ".join(parts).split()))
