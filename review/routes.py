"""The panel's HTTP routes: JSON in and out, frames by token, the login. The guard has checked who is there."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from annotator import __version__
from annotator.errors import AnnotatorError
from annotator.schema import Record
from annotator.studies import LONGEST_COMMENT
from review.accounts import SESSION_HOURS, Person, ThrottledError
from review.guard import COOKIE, BodyTooLargeError, person_of, session_secret
from review.login_page import login_page, safe_next
from review.refusals import NotAllowed, Refusal, TooLong, Unknown, Unusable
from review.requests import (
    CaseRequest,
    DraftRequest,
    GeometryRequest,
    GradeRequest,
    InterpretationRequest,
    OwnViewRequest,
    TargetsRequest,
)
from review.service import Service

log = logging.getLogger(__name__)

LARGEST_DRAFT_BYTES = 64 * 1024
CSRF_HEADER = "x-annotator"
FOREVER = "private, max-age=31536000, immutable"

Asked = TypeVar("Asked", bound=Record)
Document = dict[str, Any]


def review_router(service: Service) -> APIRouter:
    """Return all routes of the panel but the page itself."""
    router = APIRouter()
    _add_login(router, service)
    _add_reading(router, service)
    _add_guided(router, service)
    return router


def _add_reading(router: APIRouter, service: Service) -> None:
    @router.get("/review/api/state")
    async def state(request: Request) -> Response:
        return await _reply(_state, service, person_of(request))

    @router.get("/review/api/case")
    async def case(request: Request, study: str = "", case: str | None = None) -> Response:
        person = person_of(request)
        return await _reply(service.desk_of(person).case, person, study, case)

    @router.get("/review/api/next")
    async def following(request: Request, study: str = "", after: str = "") -> Response:
        person = person_of(request)
        return await _reply(service.desk_of(person).following, person, study, after)

    @router.get("/review/api/frame/{token}.png")
    async def frame(request: Request, token: str) -> Response:
        try:
            content = await run_in_threadpool(_frame, service, person_of(request), token, request.headers)
        except Refusal as refusal:
            return _refused(refusal)
        headers = {"etag": f'"{token}"', "cache-control": FOREVER}
        if content is None:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="image/png", headers=headers)

    @router.post("/review/api/grade")
    async def grade(request: Request) -> Response:
        person = person_of(request)
        return await _asked(request, GradeRequest, lambda asked: service.desk_of(person).grade(person, asked))

    @router.post("/review/api/draft")
    async def draft(request: Request) -> Response:
        person = person_of(request)
        return await _asked(
            request,
            DraftRequest,
            lambda asked: service.desk_of(person).draft(person, asked),
            largest=LARGEST_DRAFT_BYTES,
        )


def _add_guided(router: APIRouter, service: Service) -> None:
    @router.post("/review/api/guided/own_view")
    async def own_view(request: Request) -> Response:
        person = person_of(request)

        def store(asked: OwnViewRequest) -> Document:
            service.guided.own_view(person, asked)
            return {"case": service.reading.case(person, "", asked.case)}

        return await _asked(request, OwnViewRequest, store)

    @router.post("/review/api/guided/interpretation")
    async def interpretation(request: Request) -> Response:
        person = person_of(request)
        return await _asked(
            request, InterpretationRequest, lambda asked: service.guided.interpretation(person, asked)
        )

    @router.post("/review/api/guided/targets")
    async def targets(request: Request) -> Response:
        person = person_of(request)
        return await _asked(request, TargetsRequest, lambda asked: service.guided.targets(person, asked))

    @router.get("/review/api/guided/run")
    async def run(request: Request, case: str = "") -> Response:
        return await _reply(service.guided.run, person_of(request), case)

    @router.post("/review/api/guided/cancel")
    async def cancel(request: Request) -> Response:
        person = person_of(request)
        return await _asked(request, CaseRequest, lambda asked: service.guided.cancel(person, asked.case))

    @router.post("/review/api/guided/geometry")
    async def fix(request: Request) -> Response:
        person = person_of(request)
        return await _asked(request, GeometryRequest, lambda asked: service.geometry.fix(person, asked))

    @router.get("/review/api/guided/geometry")
    async def watch(request: Request, case: str = "") -> Response:
        return await _reply(service.geometry.watch, person_of(request), case)

    @router.post("/review/api/guided/labelstudio")
    async def labelstudio(request: Request) -> Response:
        person = person_of(request)
        return await _asked(
            request, CaseRequest, lambda asked: service.geometry.open_in_labelstudio(person, asked.case)
        )


def _add_login(router: APIRouter, service: Service) -> None:
    @router.get("/login")
    async def show_login(next: str = "") -> Response:
        return HTMLResponse(login_page(next))

    @router.post("/login")
    async def log_in(request: Request) -> Response:
        form = await _form(request)
        wanted = safe_next(form.get("next", ""))
        address = request.client.host if request.client else ""
        try:
            secret = await run_in_threadpool(
                service.accounts.log_in, form.get("login", ""), form.get("password", ""), address
            )
        except ThrottledError as error:
            until = f"{error} (until {error.until:%H:%M:%S} UTC)"
            return HTMLResponse(login_page(wanted, until), 429)
        if secret is None:
            return HTMLResponse(login_page(wanted, "Wrong login or password."), 401)
        answer = RedirectResponse(wanted, 303)
        is_https = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, secret, max_age=SESSION_HOURS * 3600, httponly=True, samesite="strict", secure=is_https
        )
        return answer

    @router.post("/logout")
    async def log_out(request: Request) -> Response:
        await run_in_threadpool(service.accounts.log_out, session_secret(request.headers))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer


def _state(service: Service, person: Person) -> Document:
    return {
        "reader": person.login,
        "role": person.role.value,
        "studies": service.studies_of(person),
        "version": __version__,
    }


def _frame(service: Service, person: Person, token: str, headers: Any) -> bytes | None:
    """Return a frame's pixels, or None where the browser has them already."""
    frame_id = service.desk_of(person).frame_id(person, token)
    if f'"{token}"' in headers.get("if-none-match", ""):
        return None
    try:
        return service.store.image_path(frame_id).read_bytes()
    except OSError:
        log.exception("the image of a case cannot be read")
        raise Unknown("the image of this case is missing: tell the curator of the study") from None


async def _asked(
    request: Request, model: type[Asked], meet: Callable[[Asked], Document], *, largest: int | None = None
) -> Response:
    """Read what was asked for, and meet it in a thread."""
    try:
        asked = await _body(request, model, largest)
    except Refusal as refusal:
        return _refused(refusal)
    return await _reply(meet, asked)


async def _body(request: Request, model: type[Asked], largest: int | None) -> Asked:
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise Unusable("send JSON with Content-Type: application/json")
    if request.headers.get(CSRF_HEADER) != "1":
        raise NotAllowed("the header X-Annotator: 1 is missing")
    body = await _bytes(request)
    if largest is not None and len(body) > largest:
        raise TooLong(f"this is longer than {largest // 1024} kB")
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the request"
        if first["type"] == "string_too_long" and first["ctx"]["max_length"] >= LONGEST_COMMENT:
            raise TooLong(f"{field} may have {first['ctx']['max_length']:,} characters at most") from None
        raise Unusable(f"{field}: {first['msg']}") from None


async def _bytes(request: Request) -> bytes:
    try:
        return await request.body()
    except BodyTooLargeError:
        raise TooLong("the request is too large") from None


async def _form(request: Request) -> dict[str, str]:
    try:
        text = (await _bytes(request)).decode("utf-8", "replace")
        return {key: values[0] for key, values in parse_qs(text, max_num_fields=10).items()}
    except (Refusal, ValueError):
        return {}


async def _reply(meet: Callable[..., Document], *arguments: Any) -> Response:
    try:
        return _json(await run_in_threadpool(meet, *arguments))
    except Refusal as refusal:
        return _refused(refusal)
    except AnnotatorError:
        log.exception("a request of the review panel failed")
        return _json({"error": "the workspace cannot be used at the moment: try again"}, 503)


def _refused(refusal: Refusal) -> Response:
    return _json({"error": str(refusal), **refusal.details}, refusal.status)


def _json(document: Document, status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
