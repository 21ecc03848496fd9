"""The requests we make to Label Studio: its SDK where that has the call, plain HTTP for what must be fast or exact.

Reads are tried three times; writes never twice, since the server may have done them. Every failure becomes a
LabelStudioError of one line. Tokens never show in a message.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx
import orjson

from annotator.errors import LabelStudioError

if TYPE_CHECKING:
    from label_studio_sdk.client import LabelStudio

Json = dict[str, Any]
TIMEOUT = httpx.Timeout(120.0, connect=5.0)
READ_TRIES = 3
PAGE_SIZE = 1000
_AWAY = (httpx.ConnectError, httpx.ConnectTimeout, httpx.RemoteProtocolError, httpx.ReadError)


class Client:
    """One Label Studio server, as the user that the token belongs to."""

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """Prepare for `url`; nothing is asked yet. `transport` replaces the network in tests."""
        self.url = url.rstrip("/")
        self._token = token
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Token {token}"},
            timeout=TIMEOUT,
            trust_env=False,  # a proxy or .netrc of the user has no business with loopback
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    @cached_property
    def sdk(self) -> "LabelStudio":
        """Label Studio's own client, over the same connection and without repeated writes."""
        from label_studio_sdk.client import LabelStudio

        make: Any = LabelStudio  # its constructor is untyped
        client: LabelStudio = make(
            base_url=self.url, api_key=self._token, httpx_client=self._http, timeout=120, max_retries=0
        )
        return client

    @contextmanager
    def calling(self, what: str) -> Iterator[None]:
        """Turn whatever goes wrong in a call of the SDK or of HTTP into one clear line."""
        from label_studio_sdk.core.api_error import ApiError

        try:
            yield
        except ApiError as error:
            raise self._refusal(what, error.status_code or 0, error.body) from None
        except httpx.HTTPError as error:
            raise self._unreachable(what, error) from None

    def whoami(self) -> Json:
        """Return the user of the token."""
        answer: Json = self.get("/api/current-user/whoami")
        return answer

    def user_names(self) -> dict[int, str]:
        """Return user id -> e-mail address (or user name)."""
        return {user["id"]: user.get("email") or user.get("username") or "" for user in self.get("/api/users/")}

    def tasks(self, project_id: int, include: str = "id,data", *, annotated: bool = False) -> Iterator[Json]:
        """Yield tasks in id order, with the fields that `include` names; all, or the `annotated` ones."""
        query: Json = {"ordering": ["tasks:id"]}
        if annotated:
            counts = ("total_annotations", "cancelled_annotations")
            more_than_none = {"operator": "greater", "type": "Number", "value": 0}
            items = [{"filter": f"filter:tasks:{name}", **more_than_none} for name in counts]
            query["filters"] = {"conjunction": "or", "items": items}
        params = {"project": project_id, "include": include, "page_size": PAGE_SIZE, "resolve_uri": "false"}
        params["query"] = orjson.dumps(query).decode()
        page, seen = 1, 0
        while True:
            answer = self.get("/api/tasks/", params={**params, "page": page})
            yield from answer["tasks"]
            seen += len(answer["tasks"])
            if seen >= answer["total"] or not answer["tasks"]:
                return
            page += 1

    def task(self, task_id: int) -> Json:
        """Return one task with its data."""
        answer: Json = self.get(f"/api/tasks/{task_id}/", params={"resolve_uri": "false"})
        return answer

    def import_tasks(self, project_id: int, tasks: Sequence[Json]) -> list[int]:
        """Create tasks in bulk; return their ids, in order. LabelStudioError where another number was made."""
        answer = self.post(f"/api/projects/{project_id}/import", tasks, params={"return_task_ids": "true"})
        made = answer.get("task_ids") or []
        if len(made) != len(tasks):
            raise LabelStudioError(f"Label Studio made {len(made)} of {len(tasks)} tasks; repeat the command")
        return [int(task_id) for task_id in made]

    def import_predictions(self, project_id: int, predictions: Sequence[Json]) -> int:
        """Create predictions in bulk; return how many the server says it made (it drops bad ones silently)."""
        return int(self.post(f"/api/projects/{project_id}/import/predictions", predictions).get("created", 0))

    def predictions(self, project_id: int, *, task_id: int | None = None) -> list[Json]:
        """Return all predictions of a project, or those of one of its tasks, with their results."""
        chosen = {"task__project": project_id} if task_id is None else {"task": task_id}
        answer: list[Json] = self.get("/api/predictions/", params=chosen)
        return answer

    def prediction(self, prediction_id: int) -> Json:
        """Return one prediction."""
        answer: Json = self.get(f"/api/predictions/{prediction_id}/")
        return answer

    def delete_prediction(self, prediction_id: int) -> None:
        """Delete one prediction."""
        self._send("DELETE", f"/api/predictions/{prediction_id}/")

    def annotated_tasks(self, project_id: int, task_ids: Sequence[int]) -> list[Json]:
        """Return those of some tasks that have annotations (cancelled ones too), with all of them."""
        params = {"exportType": "JSON", "ids[]": list(task_ids)}
        answer: list[Json] = self.get(f"/api/projects/{project_id}/export", params=params)
        return answer

    def annotation(self, annotation_id: int) -> Json:
        """Return one annotation."""
        answer: Json = self.get(f"/api/annotations/{annotation_id}/")
        return answer

    def start_training(self, backend_id: int) -> None:
        """Press "Start training" of an ML backend: Label Studio tells it so, and waits for no training."""
        self._send("POST", f"/api/ml/{backend_id}/train", body={})

    def create_annotation(self, task_id: int, annotation: Json) -> Json:
        """Submit an annotation as a reader would; for checks of the whole loop."""
        answer: Json = self.post(f"/api/tasks/{task_id}/annotations/", annotation)
        return answer

    def get(self, path: str, *, params: Mapping[str, Any] | None = None) -> Any:
        """Read JSON, with a few tries where the server is away for a moment."""
        return self._json(self._send("GET", path, params=params, tries=READ_TRIES))

    def post(self, path: str, body: Any, *, params: Mapping[str, Any] | None = None) -> Any:
        """Send JSON once and read the JSON answer."""
        return self._json(self._send("POST", path, params=params, body=body))

    def patch(self, path: str, body: Any) -> Any:
        """Change fields and read the JSON answer."""
        return self._json(self._send("PATCH", path, body=body))

    def _send(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, body: Any = None, tries: int = 1
    ) -> httpx.Response:
        content = None if body is None else orjson.dumps(body)
        headers = {"Content-Type": "application/json"} if content is not None else {}
        what = f"{method} {path}"
        for attempt in range(1, tries + 1):
            try:
                response = self._http.request(method, path, params=params, content=content, headers=headers)
            except httpx.HTTPError as error:
                if attempt == tries or not isinstance(error, _AWAY):
                    raise self._unreachable(what, error) from None
            else:
                if response.is_success:
                    return response
                if attempt == tries or response.status_code < 500:
                    raise self._refusal(what, response.status_code, _body(response))
            time.sleep(0.3 * attempt)
        raise AssertionError("unreachable: the last try returns or raises")

    def _json(self, response: httpx.Response) -> Any:
        try:
            return orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise LabelStudioError(f"{self.url} does not answer as Label Studio does (not JSON)") from None

    def _unreachable(self, what: str, error: httpx.HTTPError) -> LabelStudioError:
        if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
            return LabelStudioError(f"Label Studio at {self.url} took too long on {what}; look at its log")
        start = "start it with `annotator labelstudio start`"
        return LabelStudioError(f"Label Studio is not answering at {self.url}; {start}")

    def _refusal(self, what: str, status: int, body: Any) -> LabelStudioError:
        detail = _detail(body)
        if "disk is full" in detail or "No space left" in detail:
            return LabelStudioError("Label Studio's disk is full; free some space and repeat the command")
        if status == httpx.codes.UNAUTHORIZED:
            mend = "stop it and start it with `annotator labelstudio start`"
            return LabelStudioError(f"Label Studio at {self.url} refuses this workspace's token; {mend}")
        if status == httpx.codes.NOT_FOUND:
            return NotFoundError(f"Label Studio has nothing at {what}; run `annotator labelstudio connect`")
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return LabelStudioError(f"Label Studio failed on {what} ({status}): {detail}; look at its log")
        return LabelStudioError(f"Label Studio refused {what} ({status}): {detail}")


class NotFoundError(LabelStudioError):
    """What was asked for does not exist on the server."""


def _body(response: httpx.Response) -> Any:
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError:
        return response.text[:200] if "html" not in response.headers.get("content-type", "") else ""


def _detail(body: Any, limit: int = 300) -> str:
    """The reason within an error's body, on one line."""
    if isinstance(body, Mapping):
        reasons = body.get("validation_errors") or {}
        if isinstance(reasons, Mapping) and reasons:
            body = "; ".join(f"{key}: {value}" for key, value in reasons.items())
        else:
            body = body.get("detail") or body
    return " ".join(str(body or "no reason given").split())[:limit]
