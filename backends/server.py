"""The Label Studio ML-backend protocol over HTTP, as the real server speaks it.

Health, setup and webhook answer at once; /predict answers valid results, one a task, before Label Studio gives up.
Everything but /health asks for the password that `annotator labelstudio connect` gave to Label Studio.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Annotated, Any, Protocol
from urllib.parse import parse_qs, urlsplit

import orjson
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from annotator.errors import JobError
from annotator.store import Links
from backends.answering import Answers

log = logging.getLogger(__name__)

LARGEST_BODY_BYTES = 256 * 1024 * 1024
CHORES_EVERY_S = 1.0
SINGULAR = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")
PLURAL = ("ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED")
LARGEST_FORM_BYTES = 4096


class Trainings(Protocol):
    """Who takes wishes for trainings; none of it may take long."""

    def ask(self, asked_by: str) -> bool:
        """Note a wish; False where nothing comes of it."""
        ...

    def cancel(self, run_id: str) -> None:
        """Stop a training; JobError where it cannot be."""
        ...


def create_app(
    answers: Answers,
    links: Links,
    *,
    username: str,
    password: str,
    status: Callable[[], dict[str, Any]],
    status_page: Callable[[], str],
    chores: Sequence[Callable[[], None]],
    trainings: Trainings | None = None,
) -> FastAPI:
    """Return the application; each of `chores` is called every second in a thread and works off what was queued.

    Where there are `trainings`, "Start training" in Label Studio and the buttons of the status page ask for one.
    """
    app = FastAPI(title="annotator", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_repeating(chores))
    guard = [Depends(_password_check(username, password))]

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "UP", "model_class": answers.model_version}

    @app.post("/setup", dependencies=guard)
    async def setup() -> dict[str, str]:
        return {"model_version": answers.model_version}

    @app.get("/versions", dependencies=guard)
    async def versions() -> dict[str, list[str]]:
        return {"versions": await run_in_threadpool(answers.versions)}

    @app.post("/predict", dependencies=guard)
    async def predict(request: Request) -> dict[str, Any]:
        body = await _json_body(request)
        tasks, params = body.get("tasks"), body.get("params")
        context = params.get("context") if isinstance(params, dict) else None
        tasks = tasks if isinstance(tasks, list) else []
        context = context if isinstance(context, dict) else None
        return {"results": await run_in_threadpool(answers.predict, tasks, context)}

    @app.post("/webhook", dependencies=guard)
    async def webhook(request: Request) -> dict[str, Any]:
        return await run_in_threadpool(_note_webhook, links, trainings, await _json_body(request))

    @app.get("/status", dependencies=guard)
    async def show_status(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(await run_in_threadpool(status_page))
        return JSONResponse(await run_in_threadpool(status))

    if trainings is not None:
        _add_buttons(app, trainings, guard)
    _answer_errors_in_json(app)
    return app


def _add_buttons(app: FastAPI, trainings: Trainings, guard: Sequence[Any]) -> None:
    """The status page's forms. A browser sends the password by itself, so a foreign page must not be heard."""
    checks = [*guard, Depends(_refuse_foreign_pages)]

    @app.post("/train", dependencies=checks)
    async def train() -> Response:
        await run_in_threadpool(trainings.ask, "status page")
        return RedirectResponse("/status", 303)

    @app.post("/train/cancel", dependencies=checks)
    async def cancel(request: Request) -> Response:
        body = await request.body()
        form = parse_qs(body[:LARGEST_FORM_BYTES].decode("utf-8", "replace"))
        try:
            await run_in_threadpool(trainings.cancel, form.get("run_id", [""])[0])
        except JobError as error:
            raise HTTPException(409, str(error)) from None
        return RedirectResponse("/status", 303)


def _refuse_foreign_pages(request: Request) -> None:
    """Browsers name the page a form was on; a request that names none comes from no browser of today."""
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    host = request.headers.get("host", "").lower()
    is_ours = origin is None or urlsplit(origin).netloc.lower() == host
    if not is_ours or site not in ("same-origin", "none"):
        raise HTTPException(403, "requests from other pages are not taken")


def _password_check(username: str, password: str) -> Callable[..., None]:
    def check(given: Annotated[HTTPBasicCredentials, Depends(HTTPBasic(realm="annotator"))]) -> None:
        same_name = secrets.compare_digest(given.username.encode(), username.encode())
        same_password = secrets.compare_digest(given.password.encode(), password.encode())
        if not (same_name and same_password):
            raise HTTPException(401, "wrong password", headers={"WWW-Authenticate": 'Basic realm="annotator"'})

    return check


async def _json_body(request: Request) -> dict[str, Any]:
    """Read a JSON object; 413 where it is larger than any real request, 400 where it is none."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {LARGEST_BODY_BYTES // 2**20} MiB")
        chunks.append(chunk)
    try:
        body = await run_in_threadpool(orjson.loads, b"".join(chunks))
    except ValueError:
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return body


def _note_webhook(links: Links, trainings: Trainings | None, body: dict[str, Any]) -> dict[str, Any]:
    """Queue an event of Label Studio; the annotation itself is fetched from the server, never taken from here."""
    action = body.get("action")
    found = body.get("annotation") if action in SINGULAR else None
    if action in PLURAL:
        found = body.get("annotation") or body.get("annotations")
    listed = found if isinstance(found, list) else [found]
    queued = 0
    for annotation in listed:
        if isinstance(annotation, dict) and isinstance(annotation.get("id"), int):
            updated_at = str(annotation.get("updated_at") or "")
            queued += links.receive_webhook(str(action), annotation["id"], updated_at)
    if action == "START_TRAINING" and trainings is not None:
        queued += trainings.ask("Label Studio")
    return {"action": str(action), "queued": queued}


def _repeating(
    chores: Sequence[Callable[[], None]],
) -> Callable[[FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    async def repeat(chore: Callable[[], None]) -> None:
        while True:
            try:
                await run_in_threadpool(chore)
            except Exception:
                log.exception("a background chore failed; it is tried again")
            await asyncio.sleep(CHORES_EVERY_S)

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(repeat(chore)) for chore in chores]
        yield
        for task in tasks:
            task.cancel()

    return lifespan


def _answer_errors_in_json(app: FastAPI) -> None:
    @app.exception_handler(StarletteHTTPException)
    async def known(_request: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"detail": error.detail}, error.status_code, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, _error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"detail": "the request cannot be understood"}, 400)

    @app.exception_handler(Exception)
    async def unknown(_request: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        return JSONResponse({"detail": f"{type(error).__name__}: see the server's log"}, 500)
