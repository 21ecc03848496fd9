"""From a backend's name to a loaded model; what a worker process calls."""

from collections.abc import Callable
from functools import partial

from annotator.errors import InputError
from annotator.schema import Backend

NAMES = ("embedded",)


def check_name(name: str) -> None:
    """Raise InputError where there is no backend of that name."""
    if name not in NAMES:
        raise InputError(f"no backend {name!r}; there is: {', '.join(NAMES)}")


def open_backend(name: str, *, threads: int) -> Backend:
    """Load a model, to use at most `threads` processor threads."""
    check_name(name)
    import torch

    from backends.embedded import EmbeddedBackend

    torch.set_num_threads(1)
    return EmbeddedBackend(threads=threads)


def backend_factory(name: str, *, threads: int) -> Callable[[], Backend]:
    """Return a function that another process can import and call."""
    check_name(name)
    return partial(open_backend, name, threads=threads)
