"""The review panel's server put together: what the routes call, and how it is hung into an application."""

from typing import Any

from annotator.schema import utc_now
from annotator.store import Store
from annotator.studies import Role
from review.accounts import Accounts, Person
from review.adjudicate import Adjudicating
from review.desk import Clock, Desk
from review.fixes import Geometry, HandOver
from review.guided import GuidedCases
from review.running import GuidedRunner, StoredRunner
from review.session import Reading


class Service:
    """Everything behind the routes, over one store."""

    def __init__(
        self,
        store: Store,
        *,
        runner: GuidedRunner | None = None,
        hand_over: HandOver | None = None,
        clock: Clock = utc_now,
    ) -> None:
        """Without a `runner` guided cases show stored Predictions, without `hand_over` no Label Studio."""
        self.store = store
        self.desk = Desk(store, clock=clock)
        self.accounts = Accounts(store, clock)
        self.geometry = Geometry(self.desk, hand_over)
        self.guided = GuidedCases(self.desk, runner or StoredRunner(store), self.geometry)
        self.reading = Reading(self.desk, self.guided)
        self.adjudicating = Adjudicating(self.desk)

    def desk_of(self, person: Person) -> Reading | Adjudicating:
        """Return where this person's cases come from; each refuses other roles by itself."""
        return self.adjudicating if person.role is Role.ADJUDICATOR else self.reading

    def studies_of(self, person: Person) -> list[dict[str, Any]]:
        """List a person's studies; who does not read cases has none."""
        if person.role not in (Role.READER, Role.ADJUDICATOR):
            return []
        with self.desk.studies.reading() as rows:
            return self.desk_of(person).studies(rows, person)
