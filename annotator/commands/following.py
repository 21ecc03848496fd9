"""A server follows what is promoted: the new version is loaded beside the old one and takes over when ready."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from annotator.commands.models import follows_promotions, serving_choice
from annotator.errors import AnnotatorError
from annotator.learning import Decision
from annotator.store import Store
from annotator.store.learning import promotions, serving_version

if TYPE_CHECKING:
    from backends.opening import BackendChoice
    from backends.serving_model import ServingModel
    from backends.worker import Worker

log = logging.getLogger(__name__)

Start = Callable[["BackendChoice"], "Worker"]


class Follower:
    """A chore: where another version is promoted, or the one before is gone back to, it exchanges the model.

    A version that cannot be loaded is not tried again before the next decision; what served goes on serving, and
    `note` says why. A model that was asked for by name is never exchanged.
    """

    def __init__(self, store: Store, choice: "BackendChoice", start: Start) -> None:
        """Follow the promotions of `choice.backend`; `start` loads a choice in a process of its own."""
        self._store, self._choice, self._start = store, choice, start
        self._decision = self._newest()
        self._serves = serving_version(store, choice.backend)
        self._is_fixed = not follows_promotions(choice)
        self.note = ""

    def first(self) -> "Worker":
        """Load what serves now; AnnotatorError where it cannot be."""
        return self._start(serving_choice(self._store, self._choice))

    def follow(self, serving: "ServingModel") -> None:
        """Exchange the model of `serving` where a decision was made since the last look."""
        decision = self._newest()
        if self._is_fixed or decision == self._decision:
            return
        self._decision, self.note = decision, ""
        wanted = serving_version(self._store, self._choice.backend)
        if wanted == self._serves:
            return
        try:
            worker = self._start(serving_choice(self._store, self._choice))
        except AnnotatorError as error:
            self.note = f"{wanted or 'the model of the release'} does not serve, {serving.model.name} does: {error}"
            log.warning("%s", self.note)
            return
        log.warning("%s serves from now on, in place of %s", worker.model.name, serving.model.name)
        serving.swap(worker, worker.close)
        self._serves = wanted

    def _newest(self) -> str | None:
        """The last decision that changed what serves; a candidate that was not taken changes nothing."""
        made = promotions(self._store, self._choice.backend)
        return next((one.promotion_id for one in reversed(made) if one.decision is not Decision.KEPT), None)
