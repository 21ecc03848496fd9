"""How each kind of server is told of the schema, and what is learned from one that does not take it."""

import json
from typing import Any

import jsonschema
import pytest

from backends.engine import Phase
from backends.remote.dialects import LADDER, Manner, request_body, unwrapped_span, without_bounds
from backends.schemas import answer_schema
from tests.builders import some_pixels
from tests.openai_server import BOXES, TINY, OpenAiServer, completion, fails, prompt_of, says, schema_sent
from tests.remote_builders import BOX_SCHEMA, VIEW_SCHEMA, Waits, a_question, an_engine, ask_one

SETTINGS = {"model": "m", "max_tokens": 9, "temperature": 0.0, "seed": 0, "logprobs": True}


def body_in(dialect: Any, schema: Any = BOX_SCHEMA, **manner: Any) -> dict[str, Any]:
    return request_body(Manner(dialect, **manner), "data:,", "Where?", schema, SETTINGS)


def test_openai_gets_a_strict_schema_whose_root_is_an_object() -> None:
    form = body_in("openai")["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["strict"] is True
    assert form["json_schema"]["schema"]["type"] == "object"
    assert form["json_schema"]["schema"]["properties"] == {"items": BOX_SCHEMA}
    assert body_in("openai", VIEW_SCHEMA)["response_format"]["json_schema"]["schema"] == VIEW_SCHEMA


def test_loose_openai_gets_no_bounds_and_closed_objects() -> None:
    text = json.dumps(body_in("openai_loose"))
    assert "minItems" not in text
    assert "maximum" not in text
    closed = body_in("openai_loose", VIEW_SCHEMA)["response_format"]["json_schema"]["schema"]
    assert closed["additionalProperties"] is False
    assert closed["required"] == ["label"]


def test_definitions_stay_at_the_root_of_a_wrapped_schema() -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/box"}, "$defs": {"box": BOX_SCHEMA["items"]}}
    sent = body_in("openai", schema)["response_format"]["json_schema"]["schema"]
    jsonschema.validate({"items": BOXES}, sent)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"items": [{"label": "CSP"}]}, sent)
    assert "$defs" in schema  # the question's own schema is left as it was


def test_vllm_gets_the_form_of_old_and_new_versions_and_no_thoughts() -> None:
    body = body_in("vllm")
    assert body["structured_outputs"] == {"json": BOX_SCHEMA}
    assert body["guided_json"] == BOX_SCHEMA
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
    assert "response_format" not in body


def test_llamacpp_gets_a_json_object_with_a_schema() -> None:
    assert body_in("llamacpp")["response_format"] == {"type": "json_object", "schema": BOX_SCHEMA}


def test_a_server_without_schemas_gets_it_in_words() -> None:
    body = body_in("none")
    assert json.dumps(BOX_SCHEMA) in prompt_of(body)
    assert not {"response_format", "structured_outputs", "guided_json", "chat_template_kwargs"} & set(body)


@pytest.mark.parametrize("dialect", LADDER)
def test_a_question_without_a_schema_is_asked_as_it_is_in_every_dialect(dialect: Any) -> None:
    body = body_in(dialect, None)
    assert prompt_of(body) == "Where?"
    assert "response_format" not in body


def test_bounds_are_all_that_a_loose_schema_lacks() -> None:
    schema = {
        "type": "object",
        "properties": {
            "pattern": {"type": "string", "pattern": "^a", "maxLength": 3},  # a key may be named like a bound
            "box": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "minItems": 2},
            "kind": {"const": "box"},
        },
        "required": ["pattern"],
    }
    assert without_bounds(schema) == {
        "type": "object",
        "properties": {
            "pattern": {"type": "string"},
            "box": {"type": "array", "items": {"type": "integer"}},
            "kind": {"enum": ["box"]},
        },
        "required": ["pattern"],
    }


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ('{"items": [1, 2]}', "[1, 2]"),
        ('\n{ "items" :[{"a": {}}] }\n', '[{"a": {}}]'),
        ('{"items": []}', "[]"),
        ('{"items": [{"a": 1}', '[{"a": 1}'),  # cut off: its last brace belongs to the list
        ('{"items": [', "["),
        ('{"items": "none"}', '{"items": "none"}'),
        ("[1, 2]", "[1, 2]"),
        ("I see {items}", "I see {items}"),
    ],
)
def test_the_list_is_taken_out_of_its_wrapper(text: str, inner: str) -> None:
    assert text[slice(*unwrapped_span(text))] == inner


PHASES = [
    answer_schema(Phase.INTERPRET),
    answer_schema(Phase.CLASSIFY, views=["Femur", "Other"]),
    answer_schema(Phase.DETECT, ["Brain", "CSP"]),
    answer_schema(Phase.SEGMENT, ["Brain"]),
    answer_schema(Phase.KEYPOINTS, ["NTKpoints"]),
]
STRICT = {"type", "properties", "items", "required", "additionalProperties", "enum", "anyOf", "$defs", "$ref"}


@pytest.mark.parametrize("schema", PHASES, ids=list(Phase))
def test_the_schema_of_every_phase_has_a_form_that_strict_openai_takes(schema: dict[str, Any]) -> None:
    def check(part: Any) -> None:
        assert set(part) <= STRICT
        if part["type"] == "object":
            assert part["additionalProperties"] is False
            assert part["required"] == list(part["properties"])
        for inner in [*part.get("properties", {}).values(), *([part["items"]] if "items" in part else [])]:
            check(inner)

    sent = body_in("openai_loose", schema)["response_format"]["json_schema"]["schema"]
    assert sent["type"] == "object"
    check(sent)


@pytest.mark.parametrize("schema", PHASES, ids=list(Phase))
@pytest.mark.parametrize("dialect", LADDER)
def test_the_schema_of_every_phase_can_be_sent_and_is_one(dialect: Any, schema: dict[str, Any]) -> None:
    sent = schema_sent(body_in(dialect, schema))
    assert (sent is None) == (dialect == "none")
    jsonschema.Draft202012Validator.check_schema(sent or {})


# Which dialect


@pytest.mark.parametrize(
    ("owner", "version", "key"),
    [
        ("vllm", "0.33.0", "structured_outputs"),
        ("llamacpp", None, "response_format"),
        ("me", None, "response_format"),
        ("openai", None, "response_format"),
    ],
)
def test_a_server_that_says_who_it_is_is_asked_in_its_dialect(
    openai_server: OpenAiServer, owner: str, version: str | None, key: str
) -> None:
    openai_server.models, openai_server.version = [{**TINY, "owned_by": owner}], version
    assert json.loads(ask_one(an_engine(openai_server)).text) == BOXES
    (body,) = openai_server.bodies
    assert key in body
    kind = "json_schema" if owner == "openai" else "json_object"
    assert body.get("response_format", {}).get("type", kind) == kind


def test_a_refused_format_falls_back_once_and_is_remembered(
    openai_server: OpenAiServer, caplog: pytest.LogCaptureFixture
) -> None:
    openai_server.usual = lambda body: (
        fails(400, "In context=('items',), 'minItems' is not permitted.")(body) if "minItems" in str(body) else None
    )
    waits = Waits()
    engine = an_engine(openai_server, sleep=waits)
    frames = engine.open([some_pixels(1), some_pixels(2)])
    answers = engine.ask([(frame, a_question()) for frame in frames])
    assert [json.loads(answer.text) for answer in answers] == [BOXES, BOXES]
    assert [answer.retries for answer in answers] == [1, 0]
    assert engine.provenance["dialect"] == "openai_loose"
    assert "'minItems' is not permitted" in caplog.text
    assert waits == []


def test_a_dialect_chosen_by_the_user_falls_back_too(openai_server: OpenAiServer) -> None:
    openai_server.usual = lambda body: (
        fails(422, "extra fields not permitted")(body) if "structured_outputs" in body else None
    )
    engine = an_engine(openai_server, dialect="vllm")
    assert ask_one(engine).retries == 1
    assert (engine.model.settings["dialect"], engine.provenance["dialect"]) == ("vllm", "openai")


def test_a_server_that_answers_500_to_a_json_schema_is_found_out(openai_server: OpenAiServer) -> None:
    def llama_cpp_python(body: dict[str, Any]) -> Any:
        if body.get("response_format", {}).get("type") == "json_schema":
            return fails(500, "1 validation error: response_format.type")(body)
        return None

    openai_server.usual = llama_cpp_python
    engine = an_engine(openai_server)
    assert json.loads(ask_one(engine).text) == BOXES
    assert engine.provenance["dialect"] == "llamacpp"
    openai_server.bodies.clear()
    assert ask_one(engine).retries == 0
    assert len(openai_server.bodies) == 1


def test_one_500_does_not_change_the_dialect(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    openai_server.faults = [fails(500)]
    assert ask_one(engine).retries == 1
    assert engine.provenance["dialect"] == "openai"


def test_a_server_error_after_a_good_answer_is_no_matter_of_dialect(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    ask_one(engine)
    openai_server.usual = fails(500)
    assert ask_one(engine).error is not None
    assert engine.provenance["dialect"] == "openai"
    assert len({json.dumps(body) for body in openai_server.bodies[1:]}) == 1


def test_a_server_that_ignores_schemas_is_told_in_words_from_then_on(
    openai_server: OpenAiServer, caplog: pytest.LogCaptureFixture
) -> None:
    text = json.dumps(BOXES)
    openai_server.usual = lambda body: completion(text if "JSON schema" in prompt_of(body) else "A CSP, I think.")
    engine = an_engine(openai_server)
    first, second = ask_one(engine), ask_one(engine)
    assert (first.text, first.retries) == (text, 1)
    assert (second.text, second.retries) == (text, 0)
    assert engine.provenance["schema_in_words"] == 1
    assert "ignored the schema of a detect question" in caplog.text


def test_a_good_answer_leaves_the_wording_as_it_is(openai_server: OpenAiServer) -> None:
    engine = an_engine(openai_server)
    openai_server.usual = says("A CSP, I think.")
    ask_one(engine)
    openai_server.usual = None
    ask_one(engine, a_question("The view?", VIEW_SCHEMA, Phase.CLASSIFY))
    assert prompt_of(openai_server.bodies[-1]) == "The view?"
    assert schema_sent(openai_server.bodies[-1]) == VIEW_SCHEMA


# Settings that a server does not take


@pytest.mark.parametrize(
    ("status", "message", "setting"),
    [
        (400, "Unsupported value: 'temperature' does not support 0.0 with this model.", "temperature"),
        (500, "logprobs is not supported for models created with logits_all=False", "logprobs"),
        (422, "Unexpected fields in the request: {'seed'}", "seed"),
        (422, "Unexpected fields in the request: {'top_logprobs'}", "top_logprobs"),
    ],
)
def test_a_setting_that_is_refused_is_left_out_and_noted(
    openai_server: OpenAiServer, status: int, message: str, setting: str
) -> None:
    openai_server.usual = lambda body: fails(status, message)(body) if setting in body else None
    engine = an_engine(openai_server, dialect="openai")
    assert json.loads(ask_one(engine).text) == BOXES
    assert setting in str(engine.provenance["omitted_settings"])
    assert engine.provenance["dialect"] == "openai"
    assert ask_one(engine).retries == 0


def test_a_server_that_wants_the_new_name_of_the_token_limit_gets_it(openai_server: OpenAiServer) -> None:
    message = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    openai_server.usual = lambda body: fails(400, message)(body) if "max_tokens" in body else None
    ask_one(an_engine(openai_server))
    assert openai_server.bodies[-1]["max_completion_tokens"] == 256


def test_what_was_left_out_is_not_claimed(openai_server: OpenAiServer) -> None:
    openai_server.usual = lambda body: (
        fails(400, "'temperature' and 'seed' are fixed")(body)
        if ("temperature" in body or "seed" in body)
        else None
    )
    engine = an_engine(openai_server)
    assert engine.provenance["temperature"] == 0.0
    ask_one(engine)
    assert engine.provenance["temperature"] is None
    assert engine.provenance["seed"] is None
