"""Where a model runs, in which precision, and what to do when memory runs out."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch

from annotator.errors import BackendError

logger = logging.getLogger(__name__)

Precision = Literal["auto", "bf16", "fp16", "fp32"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
NO_MEMORY = "out of memory even for one at a time; use a smaller model, 4-bit weights or another device"
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and the precision of the weights on it."""

    device: torch.device
    dtype: torch.dtype


def choose_placement(device: str, precision: Precision) -> Placement:
    """Return the device (`auto`: CUDA, then MPS, then CPU) and its best precision; BackendError where it lacks.

    >>> choose_placement("cpu", "auto").dtype
    torch.float32
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise BackendError(f"no device {device!r}; there is: auto, cpu, cuda, cuda:0, mps") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise BackendError("device cuda is not there; install a CUDA build of torch, or use --device cpu")
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise BackendError("device mps is not there; use --device cpu")
    return Placement(chosen, _best_dtype(chosen) if precision == "auto" else DTYPES[precision])


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.float16 if device.type == "mps" else torch.float32


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an exception says that a device or this computer has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in OUT_OF_MEMORY)


class Halving:
    """Works through items in batches; where memory runs out, in batches of half that size from then on.

    >>> list(Halving(2).run([1, 2, 3], lambda batch: [10 * item for item in batch]))
    [10, 20, 30]
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, items: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]) -> Iterator[Result]:
        """Yield the results in order; BackendError where even a single item is too large."""
        done = 0
        while done < len(items):
            batch = items[done : done + self.size]
            results = self._try(batch, work)
            if results is not None:
                done += len(results)
                yield from results
            elif len(batch) == 1:
                raise BackendError(NO_MEMORY)
            else:
                self.size = len(batch) // 2
                logger.warning("out of memory with %d at once; from now on %d", len(batch), self.size)

    def _try(self, batch: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]) -> list[Result] | None:
        try:
            return work(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        if torch.cuda.is_available():  # after the handler, whose exception held on to the failed pass
            torch.cuda.empty_cache()
        return None
