"""How servers want to be told of a schema, and what may be left out of a request that one does not take.

| dialect | servers | form |
|---|---|---|
| `openai` | hosted OpenAI, and most others | `response_format` json_schema, strict; a list wrapped in an object |
| `openai_loose` | the same, where bounds are refused | without lengths and ranges, every key required |
| `vllm` | vLLM | `structured_outputs` (0.12 and newer) and `guided_json` (older): each ignores the other's |
| `llamacpp` | llama.cpp's server, llama-cpp-python | `response_format` json_object with `schema` |
| `none` | `transformers serve`, anything else | the schema in words after the prompt |

vLLM checks bounded lists best with `--structured-outputs-config.backend guidance`. llama.cpp's grammar knows no
minimum and maximum. Whatever was sent, the answer is validated on our side.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Json = dict[str, Any]
Dialect = Literal["openai", "openai_loose", "vllm", "llamacpp", "none"]
LADDER: tuple[Dialect, ...] = ("vllm", "openai", "openai_loose", "llamacpp", "none")
ALTERNATIVES = 5

_BOUNDS = {
    *("minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains", "prefixItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "format", "minProperties", "maxProperties", "default"),
}
_OMISSIBLE = ("top_logprobs", "logprobs", "max_tokens", "temperature", "seed", "chat_template_kwargs")


@dataclass(frozen=True)
class Manner:
    """How a server is asked; `spells_out` puts the schema into the prompt too, `without` names what is left out."""

    dialect: Dialect
    spells_out: bool = False
    without: frozenset[str] = frozenset()


def milder(manner: Manner, reason: str, *, has_schema: bool) -> Manner | None:
    """Return the next manner to try after a server refused one for `reason`, None where none is left.

    >>> milder(Manner("openai"), "minItems is not permitted", has_schema=True).dialect
    'openai_loose'
    >>> sorted(milder(Manner("none"), "logprobs is not supported", has_schema=True).without)
    ['logprobs', 'top_logprobs']
    """
    named = [name for name in _OMISSIBLE if name in reason and name not in manner.without]
    if named:
        dropped = {"logprobs", "top_logprobs"} if "logprobs" in named[0] else {named[0]}
        return replace(manner, without=manner.without | dropped)
    if not has_schema or manner.dialect == "none":
        return None
    return replace(manner, dialect=LADDER[LADDER.index(manner.dialect) + 1])


def request_body(
    manner: Manner, image_url: str, prompt: str, schema: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> Json:
    """Return the JSON to post; `settings` holds model, max_tokens, temperature, seed, logprobs."""
    if schema is not None and (manner.spells_out or manner.dialect == "none"):
        prompt = f"{prompt}\n\n{in_words(schema)}"
    image = {"type": "image_url", "image_url": {"url": image_url}}
    body: Json = {"messages": [{"role": "user", "content": [image, {"type": "text", "text": prompt}]}], **settings}
    if body.get("logprobs"):
        body["top_logprobs"] = ALTERNATIVES  # llama-cpp-python tells nothing without a number
    if manner.dialect in ("vllm", "llamacpp"):
        body["chat_template_kwargs"] = {"enable_thinking": False}
    if schema is not None:
        body |= _constraint(manner.dialect, dict(schema))
    if "max_tokens" in manner.without:
        body["max_completion_tokens"] = body["max_tokens"]
    return {key: value for key, value in body.items() if key not in manner.without}


def in_words(schema: Mapping[str, Any]) -> str:
    """Return the sentence that asks for a schema where no server enforces it."""
    return (
        f"Answer with JSON alone, without any other words, that satisfies this JSON schema:\n{json.dumps(schema)}"
    )


def without_bounds(schema: Any, *, closed: bool = False) -> Any:
    """Return a schema without bounds on lengths and ranges; `closed` also requires every key and admits no other.

    >>> without_bounds({"type": "array", "items": {"type": "integer", "maximum": 9}, "maxItems": 4})
    {'type': 'array', 'items': {'type': 'integer'}}
    """
    if isinstance(schema, list):
        return [without_bounds(item, closed=closed) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    kept = {key: value for key, value in schema.items() if key not in _BOUNDS}
    if "prefixItems" in schema and not isinstance(kept.get("items"), Mapping):
        kept["items"] = schema["prefixItems"][0]
    if "const" in kept:
        kept["enum"] = [kept.pop("const")]
    properties = kept.pop("properties", None)
    loose = {key: value if key == "enum" else without_bounds(value, closed=closed) for key, value in kept.items()}
    if isinstance(properties, Mapping):
        loose["properties"] = {name: without_bounds(value, closed=closed) for name, value in properties.items()}
        loose |= {"required": list(properties), "additionalProperties": False} if closed else {}
    return loose


def is_wrapped(dialect: Dialect, schema: Mapping[str, Any] | None) -> bool:
    """Tell whether the dialect asks for `{"items": [...]}` because its schemas must be objects."""
    return dialect in ("openai", "openai_loose") and schema is not None and schema.get("type") != "object"


def unwrapped_span(text: str) -> tuple[int, int]:
    """Return where the list within `{"items": [...]}` begins and ends; all of the text where it is not wrapped.

    A wrapped answer that was cut off gives what there is of the list.

    >>> text = '{"items": [1, 2]}'
    >>> text[slice(*unwrapped_span(text))]
    '[1, 2]'
    """
    start = re.match(r'\s*\{\s*"items"\s*:\s*(?=\[)', text)
    if not start:
        return 0, len(text)
    stop = re.search(r"\s*\}\s*$", text[start.end() :])
    is_whole = stop is not None and text[start.end() : start.end() + stop.start()].endswith("]")
    return start.end(), start.end() + stop.start() if stop and is_whole else len(text)


def _constraint(dialect: Dialect, schema: Json) -> Json:
    if dialect == "none":
        return {}
    if dialect == "vllm":
        return {"structured_outputs": {"json": schema}, "guided_json": schema}
    if dialect == "llamacpp":
        return {"response_format": {"type": "json_object", "schema": schema}}
    sent = without_bounds(schema, closed=True) if dialect == "openai_loose" else schema
    wrapped = _wrap(sent) if is_wrapped(dialect, schema) else sent
    return {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": wrapped},
        }
    }


def _wrap(schema: Json) -> Json:
    shared: Json = {
        key: schema[key] for key in ("$defs", "definitions") if key in schema
    }  # found from the root only
    inner = {key: value for key, value in schema.items() if key not in shared}
    return {
        "type": "object",
        "properties": {"items": inner},
        "required": ["items"],
        "additionalProperties": False,
        **shared,
    }
