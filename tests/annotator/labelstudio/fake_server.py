"""A Label Studio in memory: the requests of push and pull, answered as the contract tests saw."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from annotator.labelstudio.client import Client

PROJECT_ID = 1


class FakeLabelStudio:
    """Holds tasks, predictions and annotations; `before` and `after` may raise or change what a request meets."""

    def __init__(self) -> None:
        self.tasks: dict[int, dict[str, Any]] = {}
        self.predictions: dict[int, dict[str, Any]] = {}
        self.annotations: dict[int, dict[str, Any]] = {}
        self.model_version = ""
        self.requests: list[str] = []
        self.after: Callable[[str], None] = lambda what: None
        self.drops: Callable[[dict[str, Any]], bool] = lambda row: False
        self._ids = itertools.count(1)
        self._clock = itertools.count(1)

    def client(self) -> Client:
        return Client("http://labelstudio.test", "a-secret-token", transport=httpx.MockTransport(self._answer))

    def annotate(self, task_id: int, result: Any, **more: Any) -> int:
        """Submit an annotation, as a reader does in the browser."""
        annotation_id = next(self._ids)
        usual = {"id": annotation_id, "task": task_id, "was_cancelled": False, "lead_time": 3.0, "completed_by": 1}
        self.annotations[annotation_id] = {**usual, "result": result, "updated_at": self._now(), **more}
        self._touch(task_id)
        return annotation_id

    def change(self, annotation_id: int, **fields: Any) -> None:
        self.annotations[annotation_id] |= {**fields, "updated_at": self._now()}
        self._touch(self.annotations[annotation_id]["task"])

    def delete_annotation(self, annotation_id: int) -> None:
        self._touch(self.annotations.pop(annotation_id)["task"])

    def predictions_of(self, task_id: int) -> list[dict[str, Any]]:
        return [row for row in self.predictions.values() if row["task"] == task_id]

    def add_prediction(self, task_id: int, result: Any, model_version: str) -> int:
        """As Label Studio does itself when it has asked the ML backend."""
        row_id = next(self._ids)
        self.predictions[row_id] = {"id": row_id, "task": task_id, "result": result, "model_version": model_version}
        return row_id

    def _now(self) -> str:
        return f"2026-01-01T00:00:{next(self._clock):06}Z"

    def _touch(self, task_id: int) -> None:
        self.tasks[task_id]["updated_at"] = self._now()

    def _counts(self, task_id: int) -> dict[str, int]:
        theirs = [one for one in self.annotations.values() if one["task"] == task_id]
        cancelled = sum(one["was_cancelled"] for one in theirs)
        return {"total_annotations": len(theirs) - cancelled, "cancelled_annotations": cancelled}

    def _answer(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path}"
        self.requests.append(what)
        body = json.loads(request.content) if request.content else None
        for pattern, handler in self._routes().items():
            if found := re.fullmatch(pattern, what):
                answer = handler(request, body, *(int(part) for part in found.groups()))
                self.after(what)
                if answer is None:
                    return httpx.Response(404, json={"detail": "Not found."})
                return httpx.Response(200, json=answer)
        return httpx.Response(404, json={"detail": f"no such route: {what}"})

    def _routes(self) -> dict[str, Callable[..., Any]]:
        project = f"/api/projects/{PROJECT_ID}"
        return {
            r"GET /api/tasks/": self._list_tasks,
            r"GET /api/tasks/(\d+)/": lambda request, body, key: self.tasks.get(key),
            rf"POST {project}/import": self._import_tasks,
            rf"POST {project}/import/predictions": self._import_predictions,
            r"GET /api/predictions/": lambda request, body: list(self.predictions.values()),
            r"GET /api/predictions/(\d+)/": lambda request, body, key: self.predictions.get(key),
            r"DELETE /api/predictions/(\d+)/": lambda request, body, key: self.predictions.pop(key),
            rf"GET {project}/export": self._export,
            r"GET /api/annotations/(\d+)/": lambda request, body, key: self.annotations.get(key),
            r"GET /api/users/": lambda request, body: [{"id": 1, "email": "anna@lab.local"}],
            rf"GET {project}/": lambda request, body: self._project(),
            rf"PATCH {project}/": self._change_project,
        }

    def _project(self) -> dict[str, Any]:
        from annotator.labelstudio.config import labelling_config

        return {"id": PROJECT_ID, "model_version": self.model_version, "label_config": labelling_config()}

    def _change_project(self, request: httpx.Request, body: Any) -> Any:
        self.model_version = body["model_version"]
        return self._project()

    def _list_tasks(self, request: httpx.Request, body: Any) -> Any:
        size, page = int(request.url.params["page_size"]), int(request.url.params["page"])
        tasks = [{**task, **self._counts(key)} for key, task in sorted(self.tasks.items())]
        if "filters" in json.loads(request.url.params["query"]):
            tasks = [task for task in tasks if task["total_annotations"] or task["cancelled_annotations"]]
        return {"tasks": tasks[(page - 1) * size : page * size], "total": len(tasks)}

    def _import_tasks(self, request: httpx.Request, body: Any) -> Any:
        ids = [next(self._ids) for _ in body]
        for task_id, item in zip(ids, body, strict=True):
            self.tasks[task_id] = {
                "id": task_id,
                "project": PROJECT_ID,
                "data": item["data"],
                "updated_at": self._now(),
            }
        return {"task_ids": ids, "task_count": len(ids)}

    def _import_predictions(self, request: httpx.Request, body: Any) -> Any:
        kept = [row for row in body if not self.drops(row)]
        for row in kept:
            self.add_prediction(row["task"], row["result"], row["model_version"])
        return {"created": len(kept)}

    def _export(self, request: httpx.Request, body: Any) -> Any:
        wanted = {int(one) for one in request.url.params.get_list("ids[]")}
        found = []
        for task_id in sorted(wanted & self.tasks.keys()):
            theirs = [one for one in self.annotations.values() if one["task"] == task_id]
            if theirs:
                found.append({**self.tasks[task_id], "annotations": theirs})
        return found
