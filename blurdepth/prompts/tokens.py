"""A prompt as words, each with the weight that brackets give it."""

from __future__ import annotations

import re
from dataclasses import dataclass

BREAKS = frozenset(",.;!?\n")
EMPHASIS = 1.1
"""What one pair of round brackets adds, and one of square brackets takes away, where no number says more."""

_TOKEN = re.compile(
    r"(?P<weight>:\s*\d+(?:\.\d+)?\s*\))|\d+(?:[./]\d+)?%?|(?:km/h|m/s)(?![^\W\d_])|[^\W\d_]+(?:['’][^\W\d_]+)?"
    r"|[,.;!?\n()\[\]]"
)


@dataclass(frozen=True)
class Token:
    """A word, a number or a mark that ends a clause, in lower case, and its weight, 1 where none is given."""

    text: str
    weight: float = 1.0


def tokenise(text: str) -> list[Token]:
    """Cut a text into tokens; brackets and their weights are taken off and put on the words inside.

    >>> [(token.text, token.weight) for token in tokenise("(Dense fog:1.3), [cars]")]
    [('dense', 1.3), ('fog', 1.3), (',', 1.0), ('cars', 0.91)]

    Source: the weighting of prompts that Stable Diffusion front ends share: (word:1.3), (word) and [word].
    """
    words: list[str] = []
    weights: list[float] = []
    opened: list[int] = []
    for match in _TOKEN.finditer(text.lower()):
        piece = match[0]
        if piece in "([":
            opened.append(len(words))
        elif match["weight"] or piece in ")]":
            factor = float(piece.strip(": )")) if match["weight"] else EMPHASIS if piece == ")" else 1 / EMPHASIS
            first = opened.pop() if opened else len(words)
            weights[first:] = [weight * factor for weight in weights[first:]]
        else:
            words.append(piece)
            weights.append(1.0)
    pairs = zip(words, weights, strict=True)
    return [Token(word, 1.0 if word in BREAKS else round(weight, 2)) for word, weight in pairs]
