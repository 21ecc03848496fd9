"""Hangs the review panel into a FastAPI application: guard, routes and, where wanted, the page."""

from collections.abc import Sequence

from fastapi import FastAPI

from annotator.schema import utc_now
from annotator.store import Store
from review.desk import Clock
from review.fixes import HandOver
from review.guard import Guard, login_of
from review.routes import review_router
from review.running import GuidedRunner
from review.service import Service


def mount_review(
    app: FastAPI,
    store: Store,
    *,
    hosts: Sequence[str] = (),
    runner: GuidedRunner | None = None,
    hand_over: HandOver | None = None,
    clock: Clock = utc_now,
    with_page: bool = True,
) -> Service:
    """Add /login, /logout and everything below /review to `app`; other paths are left alone.

    `hosts` are further names of this server (without ports); this machine's own are known. Without a `runner`
    guided cases show stored Predictions. `with_page` loads Gradio, which takes seconds.
    """
    service = Service(store, runner=runner, hand_over=hand_over, clock=clock)
    app.include_router(review_router(service))
    if with_page:
        from review.panel import mount_panel

        mount_panel(app, who=login_of)
    app.add_middleware(Guard, accounts=service.accounts, hosts=hosts)
    return service


def create_review_app(store: Store, *, hosts: Sequence[str] = (), with_page: bool = True) -> FastAPI:
    """Return an application that is only the review panel, over stored Predictions."""
    app = FastAPI(title="annotator", docs_url=None, redoc_url=None, openapi_url=None)
    mount_review(app, store, hosts=hosts, with_page=with_page)
    return app
