"""The tolerant reader of JSON: on sound JSON it says what Python's own reader says, and where each value stands."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.parsing.json_repair import Kind, Node, scan
from backends.parsing.json_tokens import Strings

texts = st.text(max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
documents = st.lists(values, max_size=4) | st.dictionaries(texts, values, max_size=4)
layouts = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def plain_value(node: Node) -> Any:
    if node.kind is Kind.OBJECT:
        return {key: plain_value(value) for key, value in node.pairs()}
    if node.kind is Kind.ARRAY:
        return [plain_value(item) for item in node.items]
    return node.value


def every(node: Node) -> list[Node]:
    return [node, *(deeper for item in node.items for deeper in every(item))]


@given(documents, layouts, st.sampled_from(Strings))
def test_sound_json_is_read_as_python_reads_it_and_needs_no_repair(
    document: Any, layout: dict[str, Any], strings: Strings
) -> None:
    text = json.dumps(document, **layout)
    scanned = scan(text, strings=strings)
    assert [plain_value(root) for root in scanned.roots] == [document]
    assert (scanned.faults, scanned.gaps, scanned.cut) == ([], [], False)


@given(documents, layouts, st.sampled_from(["", "So: ", "```json\n", "\ufeff "]))
def test_every_value_knows_its_place_in_the_text(document: Any, layout: dict[str, Any], before: str) -> None:
    text = before + json.dumps(document, **layout) + "\nThat is all."
    (root,) = scan(text).roots
    for node in every(root):
        written = text[node.start : node.stop]
        read = json.loads(f'"{written}"' if node.kind is Kind.STRING else written)
        assert read == plain_value(node)


@settings(max_examples=300)
@given(st.text(alphabet="{}[]\",:'\\a1 \n(“.-&quot;/", max_size=60))
def test_any_text_is_read_to_its_end_and_spans_lie_within_it(text: str) -> None:
    for strings in Strings:
        for root in scan(text, strings=strings).roots:
            for node in every(root):
                assert 0 <= node.start <= node.stop <= len(text)
                assert len(node.keys) == (len(node.items) if node.kind is Kind.OBJECT else 0)


def test_only_the_asked_part_of_a_text_is_read() -> None:
    text = '[1] {"a": [2, 3]} [4]'
    (root,) = scan(text, 3, 17).roots
    assert plain_value(root) == {"a": [2, 3]}
    (cut,) = scan(text, 3, 12).roots
    assert cut.cut
