"""What models really write where a list of boxes was asked: a row is a kind of fault, with all that comes of it."""

import pytest

from backends.engine import Finish, Phase
from backends.parsing import parse_findings
from tests.backends.parsing.answers import (
    ASKED,
    BRAIN,
    CSP,
    SIZE_WH,
    B,
    C,
    Row,
    an_answer,
    boxed,
    labelled,
    outlined,
    reasons,
    storable,
)

CUT = Finish.LENGTH
DEEP = "[" * 5000

DETECT = [
    # the contract, kept
    Row("a clean answer", f"[{B}, {C}]", [BRAIN, CSP]),
    Row("nothing to be found is an answer too", "[]"),
    Row("other white space", f"\n[\n  {B},\n\t{C}\r\n]\n", [BRAIN, CSP]),
    Row("older checkpoints spell the box key otherwise", f"[{B.replace('bbox', 'box')}]", [BRAIN]),
    Row("label first", '[{"label": "Brain", "bbox_2d": [100, 200, 500, 800]}]', [BRAIN]),
    Row("a box on the very edges", '[{"bbox_2d": [0, 0, 1000, 1000], "label": "LV"}]', [("LV", (0, 0, 200, 100))]),
    # around the JSON
    Row(
        "an empty thought in front, as FADA's chat template leaves it",
        f"<think>\n\n</think>\n\n[{B}]",
        [BRAIN],
        "thinking",
    ),
    Row("a thought with a draft of the answer in it", f"<think>Perhaps [{C}]?</think>[{B}]", [BRAIN], "thinking"),
    Row("the opening tag stood in the prompt", f"The skull is bright.\n</think>\n[{B}]", [BRAIN], "thinking"),
    Row("a stray closing tag behind the answer", f"[{B}]</think>", [BRAIN], "thinking"),
    Row("thinking until the token limit", f"<think>Maybe [{B}] or", [], "truncated thinking no_json", CUT),
    Row("a thought after the answer", f"[{B}]<think>Was that right?", [BRAIN], "thinking"),
    Row("a second assistant turn is appended", f"[{B}]\nassistant\n[{C}]", [BRAIN], "turn_marker other_turn"),
    Row(
        "a second turn with its own thought",
        f"[{B}]assistant\n<think>\n</think>\n[{C}]",
        [BRAIN],
        "turn_marker other_turn",
    ),
    Row("special tokens are left in", f"<|im_start|>assistant\n[{B}]<|im_end|>", [BRAIN], "turn_marker"),
    Row(
        "the model asks itself the next question",
        f"[{B}]<|im_end|>\n<|im_start|>user\nWhat else?",
        [BRAIN],
        "turn_marker other_turn",
    ),
    Row("a code fence", f"```json\n[{B}]\n```", [BRAIN], "code_fence"),
    Row("a code fence that is never closed", f"```\n[{B}]", [BRAIN], "code_fence"),
    Row("a sentence before and after", f"Here are the boxes: [{B}] I hope this helps!", [BRAIN], "prose"),
    Row(
        "a sentence with brackets of its own",
        f"The brain [large] is seen: [{B}]",
        [BRAIN],
        "prose unquoted several_values not_a_finding",
    ),
    Row("HTML around it", f"<p>[{B}]</p>", [BRAIN], "prose"),
    Row("a byte order mark and invisible signs", f"\ufeff[{B}]\u200b", [BRAIN], "junk"),
    Row("the answer in quotation marks", f'"[{B}]"', [BRAIN], "junk"),
    # damaged JSON
    Row("trailing commas", '[{"bbox_2d": [100, 200, 500, 800,], "label": "Brain",},]', [BRAIN], "stray_comma"),
    Row("two commas", f"[{B},, {C}]", [BRAIN, CSP], "stray_comma"),
    Row("no comma between objects", f"[{B} {C}]", [BRAIN, CSP], "missing_comma"),
    Row("no comma between keys", '[{"bbox_2d": [100, 200, 500, 800] "label": "Brain"}]', [BRAIN], "missing_comma"),
    Row("spaces instead of commas", boxed("[100 200 500 800]"), [BRAIN], "missing_comma"),
    Row(
        "a Python dictionary",
        "[{'bbox_2d': (100, 200, 500, 800), 'label': 'Brain'}]",
        [BRAIN],
        "quotes python_literal",
    ),
    Row("typographic quotes", "[{“bbox_2d”: [100, 200, 500, 800], “label”: “Brain”}]", [BRAIN], "quotes"),
    Row("JSON encoded twice", f"[{B}]".replace('"', '\\"'), [BRAIN], "quotes"),
    Row("HTML entities", f"[{B}]".replace('"', "&quot;"), [BRAIN], "quotes"),
    Row("no quotes at all", "[{bbox_2d: [100, 200, 500, 800], label: Brain}]", [BRAIN], "unquoted"),
    Row("comments", f"[{B}, // the skull\n{C}]", [BRAIN, CSP], "comment"),
    Row("an ellipsis for the rest", f"[{B}, ...]", [BRAIN], "unquoted not_a_finding"),
    Row("braces doubled, as in a format string", "[{" + B + "}]", [BRAIN], "junk wrapped"),
    Row("the closing quote of a label is lost", f"[{B[:-2]}}}, {C}]", [BRAIN, CSP], "unclosed_string"),
    Row("the closing brace of an object is lost", f"[{B[:-1]}, {C}]", [BRAIN, CSP], "unclosed"),
    Row(
        "the closing bracket of a box is lost",
        f'[{{"bbox_2d": [100, 200, 500, 800, "label": "Brain"}}, {C}]',
        [BRAIN, CSP],
        "unclosed",
    ),
    Row("the list is not closed though the model ended by itself", f"[{B}, {C}", [BRAIN, CSP], "unclosed"),
    Row("brackets closed the wrong way round", f"[{B[:-1]}]}}", [BRAIN], "junk unclosed"),
    Row("one bracket too many", f"[{B}]]", [BRAIN], "junk"),
    Row("the opening bracket is lost", f"{B}, {C}]", [BRAIN, CSP], "junk several_values"),
    Row("an opening brace is lost", f"[{B[1:]}, {C}]", [CSP], "junk missing_comma not_a_finding not_a_finding"),
    Row("a control character in a label", labelled("Bra\x00in"), [], "escape label_unknown"),
    Row("a bad escape", '[{"bbox_2d": [100, 200, 500, 800], "label": "nasal\\_bone"}]', [], "escape label_unknown"),
    # other shapes
    Row("one object where a list was asked", B, [BRAIN], "object_for_list"),
    Row("one object a line", f"{B}\n{C}", [BRAIN, CSP], "several_values"),
    Row("one list a structure", f"[{B}]\n[{C}]", [BRAIN, CSP], "several_values"),
    Row("the list within an object", f'{{"detections": [{B}]}}', [BRAIN], "object_for_list wrapped"),
    Row("a list too many", f"[[{B}]]", [BRAIN], "wrapped"),
    Row(
        "an object inside another",
        f'[{{"bbox_2d": [300, 400, 350, 450], "label": "CSP", "within": {B}}}]',
        [CSP, BRAIN],
        "unasked_key wrapped",
    ),
    Row("only the coordinates", "[[100, 200, 500, 800]]", [], "not_a_finding"),
    Row("only the names", '["Brain", "CSP"]', [], "not_a_finding"),
    Row("boxes filed under their labels", '{"Brain": [100, 200, 500, 800]}', [], "object_for_list not_a_finding"),
    Row("null in the list", f"[null, {B}]", [BRAIN], "not_a_finding"),
    Row("an empty object", "[{}]", [], "not_a_finding"),
    Row("a confidence nobody asked for", f'[{B[:-1]}, "confidence": 0.98}}]', [BRAIN], "unasked_key"),
    Row("an outline where a box was asked", outlined("[[1, 2], [3, 4], [5, 9]]"), [BRAIN], "unasked_key"),
    Row(
        "brackets in a remark of a sound object, in a list that is not",
        f'[{B[:-1]}, "note": "as in {{1}} [2]"}},, {C}]',
        [BRAIN, CSP],
        "stray_comma unasked_key",
    ),
    Row("keys in capitals", '[{"BBOX_2D": [100, 200, 500, 800], "Label": "Brain"}]', [BRAIN], "key_variant"),
    Row(
        "a label under a kindred key",
        '[{"bbox_2d": [100, 200, 500, 800], "class": "Brain"}]',
        [BRAIN],
        "key_variant",
    ),
    Row("a kindred key beside the asked one", f'[{B[:-1]}, "name": "skull"}}]', [BRAIN], "unasked_key"),
    Row(
        "a key twice with the same value",
        '[{"label": "Brain", "bbox_2d": [100, 200, 500, 800], "label": "Brain"}]',
        [BRAIN],
    ),
    Row(
        "a key twice with different values",
        '[{"label": "Brain", "bbox_2d": [100, 200, 500, 800], "label": "CSP"}]',
        [],
        "duplicate_key",
    ),
    Row(
        "a box that may be corner and size",
        '[{"bbox": [100, 200, 500, 800], "label": "Brain"}]',
        [],
        "unasked_key box_missing",
    ),
    # loops and limits
    Row("the same object over and over", f"[{', '.join([B] * 9)}]", [BRAIN], "repeated"),
    Row(
        "a loop that the token limit ends",
        f"[{C}, {', '.join([B] * 9)}, {B[:20]}",
        [CSP, BRAIN],
        "truncated object_cut repeated",
        CUT,
    ),
    Row("cut inside a label", f"[{B}, {C[:-4]}", [BRAIN], "truncated unclosed_string object_cut", CUT),
    Row("cut inside a number, which may go on", f"[{B}, {C[:21]}", [BRAIN], "truncated object_cut", CUT),
    Row("cut between box and label", f"[{B}, {C[:32]}", [BRAIN], "truncated object_cut", CUT),
    Row("cut after the last value", f"[{B}, {C[:-1]}", [BRAIN, CSP], "truncated", CUT),
    Row("cut after an object", f"[{B},", [BRAIN], "truncated", CUT),
    Row("cut at the first sign", "[", [], "truncated", CUT),
    Row("cut without the engine's knowing", f"[{B}, {C[:21]}", [BRAIN], "unclosed object_cut"),
    Row("brackets without end", DEEP, [], "too_deep unclosed not_a_finding"),
    Row("a find before brackets without end", f"[{B}, {DEEP}", [BRAIN], "too_deep unclosed not_a_finding"),
    Row(
        "digits without end",
        f'[{{"bbox_2d": [100, 200, 500, {"9" * 6000}], "label": "Brain"}}]',
        [],
        "not_a_number",
    ),
    Row(
        "more objects than any frame holds",
        "[" + ", ".join(f'{{"bbox_2d": [0, 0, {n + 1}, 9], "label": "CSP"}}' for n in range(400)) + "]",
        [("CSP", (0, 0, (n + 1) / 5, 0.9)) for n in range(300)],
        "too_many",
    ),
    Row("a text far beyond any token limit", f"[{B}] " + "blah " * 40_000, [BRAIN], "too_long prose"),
    # labels
    Row("a label in capitals", labelled("BRAIN"), [BRAIN], "label_variant"),
    Row("spaces around a label", labelled(" Brain "), [BRAIN], "label_variant"),
    Row("a label in full-width signs", f"[{C}]".replace("CSP", "ＣＳＰ"), [CSP], "label_variant"),
    Row("invisible signs in a label", labelled("Br\u200bain\u202e"), [BRAIN], "label_variant"),
    Row(
        "a hyphen for an underscore",
        labelled("nasal-bone"),
        [("nasal_bone", BRAIN[1])],
        "label_variant",
        asked=("nasal_bone",),
    ),
    Row("a structure that was not asked for", labelled("thorax")[:-1] + f", {C}]", [CSP], "label_not_asked"),
    Row("a structure that nobody knows", labelled("cat")[:-1] + f", {C}]", [CSP], "label_unknown"),
    Row("two labels in one", labelled("Brain, CSP"), [], "label_unknown"),
    Row("a label in another language", labelled("мозг"), [], "label_unknown"),
    Row("half a surrogate pair in a label", labelled("\ud83d"), [], "label_unknown"),
    Row("half a surrogate pair, escaped", labelled("\\ud83d"), [], "label_unknown"),
    Row("no label", '[{"bbox_2d": [100, 200, 500, 800]}]', [], "label_missing"),
    Row("null for a label", '[{"bbox_2d": [100, 200, 500, 800], "label": null}]', [], "label_malformed"),
    Row("a number for a label", '[{"bbox_2d": [100, 200, 500, 800], "label": 4}]', [], "label_malformed"),
    Row("a list of labels", '[{"bbox_2d": [100, 200, 500, 800], "label": ["Brain"]}]', [], "label_malformed"),
    # boxes
    Row("corners in another order", boxed("[500, 800, 100, 200]"), [BRAIN], "box_reordered"),
    Row("one axis reversed", boxed("[100, 800, 500, 200]"), [BRAIN], "box_reordered"),
    Row("a little outside", boxed("[-5, 200, 1010, 800]"), [("Brain", (0, 20, 200, 80))], "clipped"),
    Row("wholly outside", boxed("[1010, 200, 1100, 800]"), [], "clipped box_empty"),
    Row("pixels of a large frame", boxed("[1200, 900, 3400, 2100]"), [], "far_outside"),
    Row("fractions of the frame", boxed("[0.1, 0.2, 0.5, 0.8]"), [], "not_whole fractions"),
    Row("halves", boxed("[100.5, 200, 500, 800]"), [("Brain", (20.1, 20, 100, 80))], "not_whole"),
    Row("whole numbers with a point", boxed("[100.0, 2e2, 500, 800]"), [BRAIN], "not_whole"),
    Row("numbers in quotes", boxed('["100", "200", "500", "800"]'), [BRAIN], "number_text"),
    Row("leading zeros and plus signs", boxed("[0100, +200, 500, 800]"), [BRAIN], "odd_number"),
    Row("percent", boxed('["10%", "20%", "50%", "80%"]'), [], "not_a_number"),
    Row("percent without quotes", boxed("[10%, 20%, 50%, 80%]"), [], "unquoted not_a_number"),
    Row("NaN", boxed("[NaN, 200, 500, 800]"), [], "not_a_number"),
    Row("infinity", boxed("[100, 200, 500, Infinity]"), [], "not_a_number"),
    Row("null for a coordinate", boxed("[100, null, 500, 800]"), [], "not_a_number"),
    Row("true for a coordinate", boxed("[true, 200, 500, 800]"), [], "not_a_number"),
    Row("digits of another script", boxed("[１００, 200, 500, 800]"), [], "unquoted not_a_number"),
    Row("three numbers", boxed("[100, 200, 500]"), [], "box_malformed"),
    Row("five numbers", boxed("[100, 200, 500, 800, 9]"), [], "box_malformed"),
    Row("null for a box", boxed("null"), [], "box_malformed"),
    Row("a box in words", boxed('"upper left"'), [], "box_malformed"),
    Row("no box", '[{"label": "Brain"}]', [], "box_missing"),
    Row("no width", boxed("[100, 200, 100, 800]"), [], "box_empty"),
    Row("all zeros", boxed("[0, 0, 0, 0]"), [], "box_empty"),
    Row("two corners", boxed("[[100, 200], [500, 800]]"), [BRAIN], "box_form"),
    Row("a box in a list", boxed("[[100, 200, 500, 800]]"), [BRAIN], "box_form"),
    Row("named corners", boxed('{"x1": 100, "y1": 200, "x2": 500, "y2": 800}'), [BRAIN], "box_form"),
    Row("corner and size", boxed('{"x": 100, "y": 200, "w": 400, "h": 600}'), [], "box_malformed"),
    # no JSON
    Row("nothing at all", "", [], "empty"),
    Row("white space", " \n\t ", [], "empty"),
    Row("a refusal in words", "I'm sorry, I can't help with medical images.", [], "no_json"),
    Row("the word for nothing", "null", [], "no_json"),
    Row("an error page", "<html><body><h1>502 Bad Gateway</h1></body></html>", [], "no_json"),
    Row("the markup of another model family", "<ref>Brain</ref><box>(100,200),(500,800)</box>", [], "no_json"),
]


@pytest.mark.parametrize("row", DETECT, ids=[row.why for row in DETECT])
def test_boxes(row: Row) -> None:
    findings, issues = parse_findings(an_answer(row.text, row.finish), Phase.DETECT, row.asked, SIZE_WH)
    found = [(finding.structure, finding.box_xyxy) for finding in findings]
    assert [name for name, _ in found] == [name for name, _ in row.found]
    assert [box for _, box in found] == [pytest.approx(box) for _, box in row.found]
    assert reasons(issues) == row.issues.split()
    assert storable(issues)


def test_a_failed_answer_is_an_issue_and_never_looks_like_nothing_found() -> None:
    findings, issues = parse_findings(
        an_answer("", Finish.ERROR, error="out of memory"), Phase.DETECT, ASKED, SIZE_WH
    )
    assert findings == ()
    assert [(issue.phase, issue.reason, issue.excerpt) for issue in issues] == [
        ("detect", "error", "out of memory")
    ]


def test_a_loop_is_kept_once_and_the_issue_says_how_often_it_came() -> None:
    _, issues = parse_findings(an_answer(f"[{', '.join([B] * 57)}]"), Phase.DETECT, ASKED, SIZE_WH)
    assert issues[0].excerpt == f"57 times: {B}"


def test_many_losses_are_told_up_to_a_bound_that_is_itself_told() -> None:
    _, issues = parse_findings(an_answer("[" + "{}, " * 200 + B + "]"), Phase.DETECT, ASKED, SIZE_WH)
    assert len(issues) < 70
    assert issues[-1].reason == "more_issues"
    assert "136" in issues[-1].excerpt
