"""Prompt profiles: read from a file, checked word by word, turned into questions."""

from pathlib import Path

import pytest

from annotator.errors import InputError
from annotator.taxonomy import INTERPRETATION_FIELDS
from backends.engine import Phase
from backends.prompts import DEFAULT_PROFILE, load_profile, question
from backends.schemas import worst_case_tokens

DEFAULT = DEFAULT_PROFILE.read_text(encoding="utf-8")


def a_profile_file(folder: Path, text: str | bytes) -> Path:
    path = folder / "profile.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def changed(old: str, new: str) -> str:
    assert old in DEFAULT
    return DEFAULT.replace(old, new, 1)


def test_the_questions_name_what_is_looked_for_and_how_to_answer() -> None:
    asked = question(load_profile(), Phase.DETECT, structures=("CSP", "LV"))
    assert "CSP, LV" in asked.prompt
    assert "CSP = cavum septi pellucidi; LV = lateral ventricle" in asked.prompt
    assert '{"bbox_2d": [x_min, y_min, x_max, y_max], "label": LABEL}' in asked.prompt
    assert asked.structures == ("CSP", "LV")
    assert asked.answer_schema is not None
    assert asked.answer_schema["items"]["properties"]["label"]["enum"] == ["CSP", "LV"]


@pytest.mark.parametrize("phase", Phase)
def test_no_placeholder_is_left_in_any_question(phase: Phase) -> None:
    structures = {Phase.KEYPOINTS: ("CRL_KP",), Phase.INTERPRET: (), Phase.CLASSIFY: ()}.get(phase, ("Brain",))
    asked = question(load_profile(), phase, structures, ("Femur", "V sign") if phase is Phase.CLASSIFY else ())
    for word in ("structures", "views", "fields", "meanings", "points", "box_key"):
        assert f"{{{word}}}" not in asked.prompt
    assert asked.prompt == asked.prompt.strip()


def test_each_phase_says_what_it_needs() -> None:
    profile = load_profile()
    assert ", ".join(INTERPRETATION_FIELDS) in question(profile, Phase.INTERPRET).prompt
    assert "Femur, V sign" in question(profile, Phase.CLASSIFY, views=("Femur", "V sign")).prompt
    assert "CRL_KP: crown, rump" in question(profile, Phase.KEYPOINTS, structures=("CRL_KP",)).prompt


def test_the_box_key_of_a_profile_reaches_the_words_and_the_schema(tmp_path: Path) -> None:
    profile = load_profile(a_profile_file(tmp_path, changed('box_key = "bbox_2d"', 'box_key = "box_2d"')))
    asked = question(profile, Phase.SEGMENT, structures=("Brain",))
    assert '{"box_2d": [x_min' in asked.prompt
    assert asked.answer_schema is not None
    assert "box_2d" in asked.answer_schema["items"]["properties"]


def test_the_token_limit_is_the_lower_of_the_profile_s_and_the_schema_s() -> None:
    profile = load_profile()
    asked = question(profile, Phase.CLASSIFY, views=("Femur",))
    assert asked.answer_schema is not None
    assert asked.max_new_tokens == worst_case_tokens(asked.answer_schema) < profile.max_new_tokens[Phase.CLASSIFY]
    small = profile.model_copy(update={"max_new_tokens": {**profile.max_new_tokens, Phase.INTERPRET: 100}})
    assert question(small, Phase.INTERPRET).max_new_tokens == 100


def test_the_hash_stands_for_the_content_and_not_for_the_file(tmp_path: Path) -> None:
    usual = load_profile().content_hash
    assert len(usual) == 64
    retyped = "# a comment\n" + DEFAULT.replace("\n[prompts]", "\n\n[prompts]")
    assert load_profile(a_profile_file(tmp_path, retyped)).content_hash == usual
    edits = [
        ("do not guess", "never guess"),
        ('version = "1"', 'version = "2"'),
        ("classify = 64", "classify = 65"),
    ]
    for edit in edits:
        assert load_profile(a_profile_file(tmp_path, changed(*edit))).content_hash != usual


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = a_profile_file(tmp_path, b"\xef\xbb\xbf" + DEFAULT.replace("\n", "\r\n").encode())
    assert load_profile(path).name == "fetal-annotator"


BAD_FILES = [
    ("no TOML", "prompts = [", "no TOML file"),
    ("no UTF-8", b'name = "\xff"', "no TOML file"),
    ("empty", "", "name"),
    ("far too large", "# " + "x" * 1_100_000, "too large"),
    ("no name", changed('name = "fetal-annotator"', ""), "name"),
    ("an empty name", changed('"fetal-annotator"', '""'), "name"),
    ("an unknown key", changed('version = "1"', 'version = "1"\ntemperature = 0.1'), "temperature"),
    ("an unknown phase", changed("[prompts]", '[prompts]\nguess = "?"'), "guess"),
    ("a version that is a number", changed('version = "1"', "version = 1"), "version"),
    ("an unknown box key", changed('"bbox_2d"', '"bbox"'), "box_key"),
    ("a side of no pixels", changed("image_max_side_px = 1024", "image_max_side_px = 0"), "image_max_side_px"),
    ("a side in words", changed("image_max_side_px = 1024", 'image_max_side_px = "1024"'), "image_max_side_px"),
    ("no tokens", changed("classify = 64", "classify = 0"), "max_new_tokens.classify"),
    ("half a token", changed("classify = 64", "classify = 0.5"), "max_new_tokens.classify"),
    ("a phase without a limit", changed("classify = 64", ""), "max_new_tokens: classify is missing"),
    ("a phase without a prompt", changed("classify = ", "other = "), "other"),
    ("a prompt that is a number", changed('classify = """', 'classify = 3\nx = """'), "prompts"),
    ("an empty prompt", DEFAULT.split("[prompts]")[0] + '[prompts]\ninterpret = " \\n "\n', "interpret is empty"),
    ("a placeholder nobody knows", changed("of: {views}", "of: {vews}"), "{vews}"),
    ("a placeholder of another phase", changed("of: {views}", "of: {structures}"), "{structures}"),
    ("a prompt that does not say what to look for", DEFAULT.replace("{structures}", "them"), "lacks {structures}"),
]


@pytest.mark.parametrize(("text", "named"), [bad[1:] for bad in BAD_FILES], ids=[bad[0] for bad in BAD_FILES])
def test_a_file_that_cannot_be_used_is_refused_in_one_line_with_the_key(
    tmp_path: Path, text: str | bytes, named: str
) -> None:
    path = a_profile_file(tmp_path, text)
    with pytest.raises(InputError) as refused:
        load_profile(path)
    message = str(refused.value)
    assert str(path) in message
    assert named in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        load_profile(tmp_path / "nowhere.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load_profile(tmp_path)


@pytest.mark.parametrize(
    ("phase", "structures", "views", "named"),
    [
        (Phase.DETECT, ("Brain", "cat"), (), "'cat'"),
        (Phase.CLASSIFY, (), ("Femur", "spine"), "'spine'"),
        (Phase.KEYPOINTS, ("CRL_KP", "Brain"), (), "Brain"),
        (Phase.SEGMENT, (), (), "segment"),
        (Phase.CLASSIFY, (), (), "classify"),
    ],
)
def test_what_nobody_knows_cannot_be_asked_for(
    phase: Phase, structures: tuple[str, ...], views: tuple[str, ...], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        question(load_profile(), phase, structures, views)
