"""Who could move: found in depth and picture, taken by a click, painted and mended with a brush."""

from blurdepth.movers.find import find_movers, mover_at, propose_movers
from blurdepth.movers.proposal import Ids, Mask, Proposal, distinct, to_ids
from blurdepth.movers.strokes import Stroke, mend_mask

__all__ = [
    "Ids",
    "Mask",
    "Proposal",
    "Stroke",
    "distinct",
    "find_movers",
    "mend_mask",
    "mover_at",
    "propose_movers",
    "to_ids",
]
