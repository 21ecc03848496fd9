"""Views and interpretations out of what models really write: each row is a kind of fault and what comes of it."""

import json
from dataclasses import dataclass, field

import pytest

from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Finish
from backends.parsing import parse_interpretation, parse_view
from tests.backends.parsing.answers import an_answer, reasons, storable

CUT = Finish.LENGTH
VIEWS = ("Trans-thalamic", "Femur", "FL", "V sign", "Abdomen", "abdomen", "NT-View")


@dataclass(frozen=True)
class ViewRow:
    """One answer to CLASSIFY, the view it names, the reasons of its issues."""

    why: str
    text: str
    view: str | None = None
    issues: str = ""
    finish: Finish = Finish.STOP


VIEW_ROWS = [
    ViewRow("a clean answer", '{"label": "Femur"}', "Femur"),
    ViewRow("exact case tells two views apart", '{"label": "abdomen"}', "abdomen"),
    ViewRow("an empty thought in front", '<think>\n\n</think>\n\n{"label": "Femur"}', "Femur", "thinking"),
    ViewRow("a code fence", '```json\n{"label": "Femur"}\n```', "Femur", "code_fence"),
    ViewRow("a reason behind it", '{"label": "Femur"} since a long bone is seen.', "Femur", "prose"),
    ViewRow("a list of one", '[{"label": "Femur"}]', "Femur", "list_for_object"),
    ViewRow("an object around it", '{"result": {"label": "Femur"}}', "Femur", "list_for_object"),
    ViewRow("the same twice", '{"label": "Femur"}\n{"label": "Femur"}', "Femur", "repeated"),
    ViewRow("a confidence", '{"label": "Femur", "confidence": 0.9}', "Femur", "unasked_key"),
    ViewRow("another key", '{"view": "Femur"}', "Femur", "key_variant"),
    ViewRow("underscores for spaces", '{"label": "v_sign"}', "V sign", "label_variant"),
    ViewRow("no hyphen", '{"label": "Transthalamic"}', "Trans-thalamic", "label_variant"),
    ViewRow("single quotes", "{'label': 'Femur'}", "Femur", "quotes"),
    ViewRow("the name alone", "Femur", "Femur", "bare_label"),
    ViewRow("the name in quotes", '"Femur".', "Femur", "bare_label"),
    ViewRow("the name in a sentence is not taken for an answer", "This is no Femur.", None, "no_json"),
    ViewRow("the closing brace is lost", '{"label": "Femur"', "Femur", "unclosed"),
    ViewRow("cut in the name", '{"label": "Trans-', None, "truncated unclosed_string object_cut", CUT),
    ViewRow(
        "two views", '[{"label": "Femur"}, {"label": "FL"}]', None, "list_for_object several_values label_unclear"
    ),
    ViewRow("a case that could be either of two", '{"label": "ABDOMEN"}', None, "label_unclear"),
    ViewRow("a view that was not offered", '{"label": "Aorta"}', None, "label_not_asked"),
    ViewRow("a view that nobody knows", '{"label": "spine"}', None, "label_unknown"),
    ViewRow("a list of views", '{"label": ["Femur"]}', None, "label_malformed"),
    ViewRow("null", '{"label": null}', None, "label_malformed"),
    ViewRow("no label", '{"answer": "Femur"}', None, "not_a_finding"),
    ViewRow("an empty object", "{}", None, "not_a_finding"),
    ViewRow("an empty list, which is no answer here", "[]", None, "label_missing"),
    ViewRow("nothing", "", None, "empty"),
]


@pytest.mark.parametrize("row", VIEW_ROWS, ids=[row.why for row in VIEW_ROWS])
def test_views(row: ViewRow) -> None:
    view, score, issues = parse_view(an_answer(row.text, row.finish), VIEWS)
    assert view == row.view
    assert score is None
    assert reasons(issues) == row.issues.split()
    assert storable(issues)


FIELDS = {name: f"about {name.replace('_', ' ')}" for name in INTERPRETATION_FIELDS}
CLEAN = json.dumps(FIELDS)


def with_value(written: str) -> str:
    """A whole interpretation whose image quality is written as given."""
    return CLEAN.replace('"about image quality"', written)


@dataclass(frozen=True)
class TextRow:
    """One answer to INTERPRET, what differs from the clean one, the reasons of its issues."""

    why: str
    text: str
    changed: dict[str, str] | None = field(default_factory=dict)
    issues: str = ""
    finish: Finish = Finish.STOP


def quality(text: str) -> dict[str, str]:
    return {"image_quality": text}


WITHOUT_LAST = dict.fromkeys(INTERPRETATION_FIELDS[7:], "")
TEXT_ROWS = [
    TextRow("a clean answer", CLEAN),
    TextRow("pretty printing", json.dumps(FIELDS, indent=2)),
    TextRow(
        "an empty thought, a fence, chatter",
        f"<think></think>Sure!\n```json\n{CLEAN}\n```",
        {},
        "thinking code_fence prose",
    ),
    TextRow("a second turn", f"{CLEAN}\nassistant\n{CLEAN}", {}, "turn_marker other_turn"),
    TextRow("a list of one", f"[{CLEAN}]", {}, "list_for_object"),
    TextRow("an object around it", f'{{"report": {CLEAN}}}', {}, "wrapped"),
    TextRow("fields in two objects", CLEAN.replace(', "biometric', '}\n{"biometric'), {}, "several_values"),
    TextRow("the same field twice, differently", CLEAN[:-1] + ', "image_quality": "poor"}', {}, "duplicate_key"),
    TextRow("the same field twice, alike", CLEAN[:-1] + ', "image_quality": "about image quality"}'),
    TextRow("keys as headings", CLEAN.replace("image_quality", "Image Quality"), {}, "key_variant"),
    TextRow("a field nobody asked for", CLEAN[:-1] + ', "diagnosis": "none"}', {}, "unasked_key"),
    TextRow("an empty field", with_value('""'), quality("")),
    TextRow("null", with_value("null"), quality(""), "field_null"),
    TextRow("a number", with_value("3"), quality("3"), "flattened"),
    TextRow("true", with_value("true"), quality("yes"), "flattened"),
    TextRow("a list", with_value('["good", "low gain"]'), quality("good; low gain"), "flattened"),
    TextRow(
        "an object",
        with_value('{"gain": "low", "depth": {"cm": 12}}'),
        quality("gain: low; depth: cm: 12"),
        "flattened",
    ),
    TextRow(
        "signs of other scripts in an English text",
        with_value('"gain 3 dB, 20 °C, ±2 µm"'),
        quality("gain 3 dB, 20 °C, ±2 µm"),
    ),
    TextRow("another language", with_value('"图像质量良好"'), quality("图像质量良好"), "foreign_script"),
    TextRow("half a surrogate pair", with_value('"good \\ud83d"'), quality("good \ufffd"), "unsafe_characters"),
    TextRow(
        "marks that turn the text around",
        with_value('"good \u202etxet"'),
        quality("good \ufffdtxet"),
        "unsafe_characters",
    ),
    TextRow("a NUL, escaped", with_value('"go\\u0000od"'), quality("go\ufffdod"), "unsafe_characters"),
    TextRow(
        "quotes inside a sentence",
        with_value('"a so-called "good" image"'),
        quality('a so-called "good" image'),
        "escape",
    ),
    TextRow(
        "brackets inside a sentence", with_value('"good [see "A"] {1}"'), quality('good [see "A"] {1}'), "escape"
    ),
    TextRow("a line break inside a sentence", with_value('"good\nimage"'), quality("good\nimage"), "escape"),
    TextRow("a trailing comma", CLEAN[:-1] + ",}", {}, "stray_comma"),
    TextRow("a comma is lost", CLEAN.replace('", "image', '" "image'), {}, "missing_comma"),
    TextRow("a Python dictionary", str(FIELDS), {}, "quotes"),
    TextRow(
        "a sentence over and over",
        with_value('"' + "All is well. " * 60 + '"'),
        quality("All is well."),
        "repeated",
    ),
    TextRow("a field is missing", json.dumps(dict(list(FIELDS.items())[:7])), WITHOUT_LAST, "field_missing"),
    TextRow("the last brace is lost", CLEAN[:-1], {}, "unclosed"),
    TextRow(
        "cut in a sentence, whose end may turn its meaning round",
        CLEAN[:-9],
        WITHOUT_LAST,
        "truncated unclosed_string field_cut field_missing",
        CUT,
    ),
    TextRow(
        "cut between two fields", CLEAN[: CLEAN.index('"clinical')], WITHOUT_LAST, "truncated field_missing", CUT
    ),
    TextRow(
        "cut without the engine's knowing",
        CLEAN[:-9],
        WITHOUT_LAST,
        "unclosed_string unclosed field_cut field_missing",
    ),
    TextRow("far too long", with_value(json.dumps(" ".join(map(str, range(3000))))), None, "too_long"),
    TextRow("another object", '{"label": "Femur"}', None, "not_a_finding field_missing"),
    TextRow("prose", "The fetal head is seen in a transthalamic plane.", None, "no_json"),
    TextRow("headings", "**Image quality**: good\n**Imaging plane**: unclear", None, "no_json"),
    TextRow("nothing", "", None, "empty"),
]


@pytest.mark.parametrize("row", TEXT_ROWS, ids=[row.why for row in TEXT_ROWS])
def test_interpretations(row: TextRow) -> None:
    interpretation, issues = parse_interpretation(an_answer(row.text, row.finish))
    assert reasons(issues) == row.issues.split()
    assert storable(issues)
    if row.changed is not None:
        assert interpretation is not None
        assert interpretation.model_dump() == FIELDS | row.changed
    elif "too_long" in row.issues:
        assert interpretation is not None
        assert len(interpretation.image_quality) <= 4000
    else:
        assert interpretation is None


@pytest.mark.parametrize("parse", [parse_interpretation, lambda answer: parse_view(answer, VIEWS)])
def test_an_answer_that_failed_says_so_and_never_looks_like_nothing_found(parse) -> None:  # type: ignore[no-untyped-def]
    *_, issues = parse(an_answer("", Finish.ERROR, error="timed out after 30 s"))
    assert [(issue.reason, issue.excerpt) for issue in issues] == [("error", "timed out after 30 s")]
