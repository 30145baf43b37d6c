"""Several processes that train one model together, as `accelerate launch` or `torchrun` starts them; or just this one.

Each works on its own share of every batch. Sums over all of them keep the loss that of the whole batch, so that a
fine-tune doesn't depend on how many take part, but for rounding.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from blurdepth.errors import BlurdepthError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Item = TypeVar("Item")

_PATIENCE = timedelta(hours=2)
"""How long one waits for another: the first one writes checkpoints and draws pictures."""


@dataclass(frozen=True)
class Processes:
    """One process among all that train together: the one that this is.

    Attributes:
        rank: of this one, from 0; 0 writes files and tells of progress.
        count: of all.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def own(self, items: Sequence[Item]) -> list[Item]:
        """The share of this process: every `count`-th item."""
        return list(items[self.rank :: self.count])

    def rounds(self, items: Sequence[Item]) -> list[Item | None]:
        """The share of this process with None where others have one more: as long for each of them."""
        share: list[Item | None] = [*self.own(items)]
        return share + [None] * (-(-len(items) // self.count) - len(share))

    def total(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes, through which gradients flow to each of them."""
        if self.count == 1:
            return values
        from torch.distributed.nn import functional

        return functional.all_reduce(values)  # type: ignore[no-untyped-call]

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace each gradient by its mean over all processes."""
        if self.count == 1:
            return
        import torch

        gradients = [each.grad for each in parameters if each.grad is not None]
        together = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(together)
        together /= self.count
        for gradient, mean in zip(gradients, torch.split(together, [each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def gathered(self, items: list[Item]) -> list[Item]:
        """The items of all processes, in the order that `own` dealt them out in."""
        if self.count == 1:
            return items
        import torch

        shares: list[list[Item]] = [[] for _ in range(self.count)]
        torch.distributed.all_gather_object(shares, items)
        longest = max(map(len, shares))
        return [share[k] for k in range(longest) for share in shares if k < len(share)]

    def agreed(self, flag: bool) -> bool:
        """What the first process says, told to all."""
        if self.count == 1:
            return flag
        import torch

        said = [flag]
        torch.distributed.broadcast_object_list(said, src=0)
        return said[0]

    def wait_for_first(self) -> None:
        """Go on when the first process has come as far as this."""
        self.agreed(True)


def join_processes() -> Processes:
    """Meet the processes that were started together with this one, if there are any.

    Source: the environment variables RANK and WORLD_SIZE, which torch and accelerate agree on.

    Raises:
        BlurdepthError: the others can't be met.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Processes()
    import torch

    if not torch.distributed.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        try:
            torch.distributed.init_process_group(backend, timeout=_PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise BlurdepthError(
                f"The {count} processes of this launch can't meet ({error}): start them by accelerate launch, and "
                "check the address and the port of the first machine."
            ) from error
    return Processes(int(os.environ["RANK"]), count)


def leave_processes(processes: Processes) -> None:
    """Part from the others, so that none of them waits for this one."""
    if processes.count > 1:
        import torch

        with suppress(RuntimeError):
            torch.distributed.destroy_process_group()
