"""Views and findings out of an answer: every object that looks like a finding ends as a Finding or a ParseIssue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from annotator.schema import Finding, Interpretation, ParseIssue
from annotator.taxonomy import VIEWS
from backends.engine import Answer, Phase
from backends.parsing.finding_reader import FindingReader
from backends.parsing.interpretations import parse_interpretation
from backends.parsing.issues import IssueLog, Reason, RejectedError
from backends.parsing.json_repair import Kind, Node
from backends.parsing.json_tokens import Strings
from backends.parsing.labels import finding_key, parts_of, read_label
from backends.parsing.scores import Span, TokenScores
from backends.parsing.window import Reading, read

MOST_OBJECTS = 300
_VIEW_NAMES = frozenset(view.name for view in VIEWS)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What one answer says; findings in pixels of the original frame. What its phase does not ask stays empty."""

    interpretation: Interpretation | None = None
    view: str | None = None
    view_score: float | None = None
    findings: tuple[Finding, ...] = ()
    issues: tuple[ParseIssue, ...] = ()


def parse_answer(
    answer: Answer,
    phase: Phase,
    *,
    size_wh: tuple[int, int],
    structures: Sequence[str] = (),
    views: Sequence[str] = (),
) -> Parsed:
    """Parse an answer by its phase."""
    if phase is Phase.INTERPRET:
        interpretation, issues = parse_interpretation(answer)
        return Parsed(interpretation=interpretation, issues=issues)
    if phase is Phase.CLASSIFY:
        view, score, issues = parse_view(answer, views)
        return Parsed(view=view, view_score=score, issues=issues)
    findings, issues = parse_findings(answer, phase, structures, size_wh)
    return Parsed(findings=findings, issues=issues)


def parse_view(answer: Answer, views: Sequence[str]) -> tuple[str | None, float | None, tuple[ParseIssue, ...]]:
    """Return the view that an answer names, the model's probability for it (None where untold), and the issues.

    Two different views in one answer are no view: which of them counts cannot be told.
    """
    log = IssueLog(Phase.CLASSIFY.value, answer.text)
    reading = read(answer, log, Strings.SHORT)
    if reading is None:
        return None, None, log.issues()
    named = _views_named(reading, views)
    if len({view for view, _ in named}) > 1:
        log.add(Reason.SEVERAL_VALUES, reading.start, reading.stop)
        log.add_text(Reason.LABEL_UNCLEAR, ", ".join(view for view, _ in named))
        return None, None, log.issues()
    if not named:
        return None, None, log.issues()
    if len(named) > 1:
        log.add_repeated(len(named), *named[0][1])
    view, span = named[0]
    return view, TokenScores(answer).label(span).score, log.issues()


def _views_named(reading: Reading, views: Sequence[str]) -> list[tuple[str, Span]]:
    log = reading.log
    if not reading.scan.roots:
        return _bare_view(reading, views)
    if all(root.kind is Kind.ARRAY and not root.items for root in reading.scan.roots):
        log.add(Reason.LABEL_MISSING, reading.start, reading.stop)
    named = []
    for node, is_alone in _objects(reading, list_asked=False):
        if not is_alone:
            log.add(Reason.WRAPPED, node.start, node.stop)
        try:
            label = parts_of(node, log, ("label",)).get("label")
            if label is None:
                raise RejectedError(Reason.OBJECT_CUT if node.cut else Reason.LABEL_MISSING)
            named.append((read_label(label, views, _VIEW_NAMES, log), (label.start, label.stop)))
        except RejectedError as rejected:
            log.add(rejected.reason, node.start, node.stop)
    return named


def _bare_view(reading: Reading, views: Sequence[str]) -> list[tuple[str, Span]]:
    """A view named without any JSON around it, and with no other word."""
    text = reading.counted_text
    bare = text.strip(" \t\r\n\"'.`")
    start = reading.start + text.find(bare)
    span = (start, start + len(bare))
    try:
        view = read_label(Node(Kind.STRING, *span, value=bare), views, _VIEW_NAMES, reading.log)
    except RejectedError:
        reading.log.add(Reason.NO_JSON, reading.start, reading.stop)
        return []
    reading.log.add(Reason.BARE_LABEL, *span)
    return [(view, span)]


def parse_findings(
    answer: Answer, phase: Phase, structures: Sequence[str], size_wh: tuple[int, int]
) -> tuple[tuple[Finding, ...], tuple[ParseIssue, ...]]:
    """Return the findings of a DETECT, SEGMENT or KEYPOINTS answer, in pixels of a frame of `size_wh`.

    Only `structures`, which were asked for, are taken. A finding that the model said several times counts once,
    with the score of the first.
    """
    log = IssueLog(phase.value, answer.text)
    reading = read(answer, log, Strings.SHORT)
    if reading is None:
        return (), log.issues()
    if not reading.scan.roots:
        log.add(Reason.NO_JSON, reading.start, reading.stop)
        return (), log.issues()
    reader = FindingReader(phase, structures, size_wh, log, TokenScores(answer))
    found: dict[tuple[object, ...], Finding] = {}
    seen: dict[tuple[object, ...], tuple[int, Node]] = {}
    for node in _finding_objects(reading):
        finding = reader.read(node)
        if finding is not None:
            key = (finding.structure, finding.box_xyxy, finding.mask_rle, finding.keypoints)
            found.setdefault(key, finding)
            seen[key] = (seen[key][0] + 1, seen[key][1]) if key in seen else (1, node)
    for count, node in seen.values():
        if count > 1:
            log.add_repeated(count, node.start, node.stop)
    return tuple(found.values()), log.issues()


def _finding_objects(reading: Reading) -> Iterator[Node]:
    log, roots = reading.log, reading.scan.roots
    if len(roots) > 1:
        log.add(Reason.SEVERAL_VALUES, roots[0].start, roots[-1].stop)
    elif roots[0].kind is Kind.OBJECT:
        log.add(Reason.OBJECT_FOR_LIST, roots[0].start, roots[0].stop)
    for place, (node, is_in_place) in enumerate(_objects(reading, list_asked=True)):
        if place >= MOST_OBJECTS:
            log.add(Reason.TOO_MANY, node.start, reading.stop)
            return
        if not is_in_place:
            log.add(Reason.WRAPPED, node.start, node.stop)
        yield node


def _objects(reading: Reading, *, list_asked: bool) -> Iterator[tuple[Node, bool]]:
    """Every object with a key of a finding, in order of the text, and whether it stands where it was asked for.

    Whatever else stands in the answer is noted.
    """
    log = reading.log
    waiting = [(root, 0) for root in reversed(reading.scan.roots)]
    while waiting:
        node, depth = waiting.pop()
        inner = [item for item in node.items if item.kind in (Kind.OBJECT, Kind.ARRAY)]
        if node.kind is Kind.OBJECT and any(finding_key(key) for key in node.keys):
            in_list = depth == 1 and list_asked
            if depth == 1 and not list_asked:
                log.add(Reason.LIST_FOR_OBJECT, node.start, node.stop)
            yield node, depth == 0 or in_list or depth == 1
            inner = [item for item in inner if _holds_finding(item)]
        elif node.kind is Kind.OBJECT and not inner:
            log.add(Reason.OBJECT_CUT if node.cut else Reason.NOT_A_FINDING, node.start, node.stop)
        elif node.kind is Kind.ARRAY and (len(inner) < len(node.items) or (depth and not inner)):
            log.add(Reason.NOT_A_FINDING, node.start, node.stop)
        waiting += [(item, depth + 1) for item in reversed(inner)]


def _holds_finding(node: Node) -> bool:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if any(finding_key(key) for key in node.keys):
            return True
        waiting += [item for item in node.items if item.items]
    return False
