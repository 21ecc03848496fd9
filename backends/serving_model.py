"""The model that serves, and can be exchanged while it does: whoever asked the old one is answered by it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from annotator.schema import Backend, Finding, LoadedFrame, ModelVersion, Prediction, Prompt


def _nothing() -> None:
    pass


class _Held:
    """A model, how many are using it, and what is to be done once nobody does any more."""

    def __init__(self, model: Backend, close: Callable[[], None]) -> None:
        self.model, self.close = model, close
        self.users = 0
        self.is_retired = False


class ServingModel:
    """A Backend that passes every request on to the model of the moment.

    A request that asks more than once, or that notes which version answered, keeps one model with `pinned`.
    """

    def __init__(self, model: Backend, close: Callable[[], None] = _nothing) -> None:
        """Serve `model`; `close` is called once it was exchanged and nobody uses it."""
        self._lock = threading.Lock()
        self._held = _Held(model, close)
        self.name: str = model.name
        self.model: ModelVersion = model.model

    @contextmanager
    def pinned(self) -> Iterator[Backend]:
        """Give the model of this moment; it stays open as long as it is used."""
        with self._lock:
            held = self._held
            held.users += 1
        try:
            yield held.model
        finally:
            with self._lock:
                held.users -= 1
                is_over = held.is_retired and held.users == 0
            if is_over:
                held.close()

    def swap(self, model: Backend, close: Callable[[], None] = _nothing) -> None:
        """Serve `model` from the next request on; the one before is closed when its last request is answered."""
        with self._lock:
            old, self._held = self._held, _Held(model, close)
            self.name, self.model = model.name, model.model
            old.is_retired = True
            is_over = old.users == 0
        if is_over:
            old.close()

    def predict(self, batch: Sequence[LoadedFrame]) -> list[Prediction]:
        """Ask the model of the moment for a batch."""
        with self.pinned() as model:
            return model.predict(batch)

    def look_for(self, loaded: LoadedFrame, detect: Sequence[str], segment: Sequence[str]) -> Prediction:
        """Ask the model of the moment for what a person chose."""
        with self.pinned() as model:
            return model.look_for(loaded, detect, segment)

    def prompt(self, loaded: LoadedFrame, prompt: Prompt) -> list[Finding]:
        """Ask the model of the moment what a prompt points at."""
        with self.pinned() as model:
            return model.prompt(loaded, prompt)

    def close(self) -> None:
        """Close the model that serves, in the end."""
        self._held.close()


def serving(model: Backend) -> ServingModel:
    """Return the model as one that can be exchanged; one that can already is returned as it is."""
    return model if isinstance(model, ServingModel) else ServingModel(model)
