"""Answers of models for the tests of the parser: short names for what they say and what is made of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annotator.schema import ParseIssue
from backends.engine import Answer, Finish, Phase

Found = tuple[str, tuple[float, float, float, float]]

SIZE_WH = (200, 100)
ASKED = ("Brain", "CSP", "LV")

BRAIN_BOX, CSP_BOX = [100, 200, 500, 800], [300, 400, 350, 450]
B = '{"bbox_2d": [100, 200, 500, 800], "label": "Brain"}'
C = '{"bbox_2d": [300, 400, 350, 450], "label": "CSP"}'
BRAIN: Found = ("Brain", (20.0, 20.0, 100.0, 80.0))
CSP: Found = ("CSP", (60.0, 40.0, 70.0, 45.0))


@dataclass(frozen=True)
class Row:
    """One bad output: why it is in the table, the text, what must be found in it, and the reasons of its issues."""

    why: str
    text: str
    found: Sequence[Any] = ()
    issues: str = ""
    finish: Finish = Finish.STOP
    phase: Phase = Phase.DETECT
    asked: Sequence[str] = ASKED


def boxed(box: str) -> str:
    """A list with one brain, its box as written."""
    return f'[{{"bbox_2d": {box}, "label": "Brain"}}]'


def labelled(label: str) -> str:
    """A list with the brain's box under a label as written."""
    return f"[{B.replace('Brain', label)}]"


def outlined(mask: str, start: str = B) -> str:
    """A list with one object that has an outline as written."""
    return f'[{start[:-1]}, "mask": {mask}}}]'


def an_answer(text: str, finish: Finish = Finish.STOP, **more: Any) -> Answer:
    return Answer(text, finish, 0.1, **more)


def reasons(issues: Sequence[ParseIssue]) -> list[str]:
    return [issue.reason for issue in issues]


def storable(issues: Sequence[ParseIssue]) -> bool:
    """Whether the issues can be written as JSON in UTF-8 and are short."""
    text = json.dumps([issue.model_dump() for issue in issues], ensure_ascii=False)
    return bool(text.encode("utf-8")) and all(len(issue.excerpt) <= 200 for issue in issues)
