"""The catalog: it holds every model that the project names, keeps proxies apart, and says how each is asked."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from annotator.errors import BackendError, InputError
from backends.catalog import (
    CATALOG_FILE,
    Filter,
    catalog,
    choice_of,
    known,
    needs_of,
    ordered,
    provider_of,
    resolve,
    select,
)
from backends.catalog.reading import read_catalog
from backends.catalog.records import CatalogEntry, ModelType
from backends.opening import BackendChoice
from tests.backends.catalog_names import ELSEWHERE, PLAN, TRACKER, TRACKER_ROWS, U2_BENCH

ENTRIES = catalog().models
BY_NAME = {entry.name: entry for entry in ENTRIES}
EVERYWHERE = [(table, named) for table, names in ELSEWHERE.items() for named in names]


def an_entry(**more: Any) -> CatalogEntry:
    facts = {"name": "M", "section": "general", "family": "F", "loader": "unknown", "status": "todo"}
    return CatalogEntry(**{**facts, "sources": ("tracker",), **more})


def names_of(entries: list[CatalogEntry]) -> list[str]:
    return [entry.name for entry in entries]


def test_every_row_of_the_tracker_is_an_entry_in_its_order() -> None:
    found = {section: tuple(e.name for e in ENTRIES if e.section == section) for section in TRACKER}
    assert found == TRACKER


def test_the_tracker_has_55_rows_and_no_model_twice() -> None:
    assert Counter(entry.section for entry in ENTRIES if entry.is_tracked) == TRACKER_ROWS
    assert sum(TRACKER_ROWS.values()) == sum(entry.is_tracked for entry in ENTRIES) == 55
    assert len(BY_NAME) == len(ENTRIES)


@pytest.mark.parametrize(("table", "named"), EVERYWHERE, ids=lambda value: str(value))
def test_every_name_in_another_table_means_an_entry(table: str, named: str | tuple[str, str]) -> None:
    if isinstance(named, str):
        assert resolve(named) is not None
    else:
        assert named[1] in BY_NAME


def test_every_model_of_the_leaderboard_is_known_by_its_name_there() -> None:
    assert sorted(filter(None, (entry.u2_bench for entry in ENTRIES))) == sorted(U2_BENCH)


def test_the_plan_has_its_phases_and_steps() -> None:
    planned = sorted((entry for entry in ENTRIES if entry.step), key=lambda entry: entry.step or 0)
    assert [entry.step for entry in planned] == list(range(1, 18))
    for phase, names in PLAN.items():
        assert [entry for entry in planned if entry.phase == phase] == [known(name) for name in names]


def test_no_proxy_stands_among_reference_scores_nor_the_other_way_round() -> None:
    kinds = {name: metric.kind for name, metric in catalog().metrics.items()}
    for entry in ENTRIES:
        assert {kinds[score.metric] for score in entry.ground_truth} <= {"ground_truth"}
        assert {kinds[score.metric] for score in entry.proxy} <= {"proxy"}
    assert sum(bool(entry.proxy) for entry in ENTRIES) == 8


def test_sorting_by_score_never_looks_at_another_metric() -> None:
    by_fields = ordered(ENTRIES, "score")
    scored = [entry for entry in by_fields if entry.score("eight_fields")]
    assert by_fields[: len(scored)] == scored
    assert by_fields[0].name == "Qwen3.5-35B-A3B"
    assert names_of(by_fields)[:3] != names_of(ordered(ENTRIES, "score", metric="keyword_proxy"))[:3]
    # MiniCPM has the best proxy of all, and a middling score against reference answers.
    assert ordered(ENTRIES, "score", metric="keyword_proxy")[0].name == "MiniCPM-V-2.6"
    assert names_of(by_fields).index("MiniCPM-V-2.6") > 10


def test_a_proxy_alone_does_not_place_a_model_by_reference_score() -> None:
    best_proxy = an_entry(name="P", proxy=[{"metric": "keyword_proxy", "value": 0.99, "source": "tracker"}])
    modest = an_entry(name="T", ground_truth=[{"metric": "eight_fields", "value": 0.01, "source": "tracker"}])
    assert names_of(ordered([best_proxy, modest], "score")) == ["T", "P"]


def test_the_score_over_all_samples_counts_before_that_over_600() -> None:
    score = known("Qwen2.5-VL-7B").score("embedding_similarity")
    assert score is not None
    assert score.value == 0.5058


@pytest.mark.parametrize(
    ("precision", "gib"), [("bf16", 14.9012), ("fp16", 14.9012), ("int8", 7.4506), ("int4", 3.7253)]
)
def test_memory_is_computed_from_the_parameters(precision: Any, gib: float) -> None:
    found = an_entry(parameters_b=8.0, active_b=1.0).memory(precision)
    assert found is not None
    assert found.computed
    assert found.gib == pytest.approx(gib, abs=1e-4)


def test_stated_memory_wins_unless_it_is_doubted_a_bound_or_of_no_precision() -> None:
    def at_int4(**stated: Any) -> bool:
        entry = an_entry(parameters_b=8.0, stated_memory=[{"gb": 6.0, "source": "tracker", **stated}])
        found = entry.memory("int4")
        assert found is not None
        return found.computed

    assert not at_int4(precision="int4")
    assert at_int4(precision="int4", doubt="too large")
    assert at_int4(precision="int4", at_most=True)
    assert at_int4(precision="int8")
    assert at_int4()


def test_a_mixture_of_experts_needs_memory_for_all_of_it() -> None:
    found = known("Qwen3.5-35B-A3B").memory("bf16")
    assert found is not None
    assert found.gib > 60


def test_filters_keep_what_they_say() -> None:
    small = select(
        ENTRIES, Filter(family="qwen", max_memory_gib=4.0, precision="int4", public=True, loader="transformers")
    )
    assert "Qwen3-VL-8B" in names_of(small)
    assert not {"Qwen3.5-27B", "EchoVLM", "Qwen-Max"} & set(names_of(small))
    assert names_of(select(ENTRIES, Filter(phase=4))) == [
        *("Qwen3-VL-2B", "SmolVLM-2.2B", "Moondream2", "MobileVLM-V2-3B")
    ]
    assert {entry.licence for entry in select(ENTRIES, Filter(licence="APACHE"))} == {"Apache-2.0"}
    assert all(entry.is_public for entry in select(ENTRIES, Filter(public=True)))
    assert names_of(select(ENTRIES, Filter(status="failed"))) == ["Florence-2"]


def test_a_model_of_unknown_size_never_counts_as_one_that_fits() -> None:
    assert all(entry.memory("int4") for entry in select(ENTRIES, Filter(max_memory_gib=1e9)))


def test_a_family_that_no_one_has_is_an_error_that_lists_them() -> None:
    with pytest.raises(InputError, match=r"no family 'Quen'; there is: .*InternVL, .*Qwen"):
        select(ENTRIES, Filter(family="Quen"))


def test_sorting_puts_the_unknown_last() -> None:
    sizes = [entry.parameters_b for entry in ordered(ENTRIES, "size")]
    known_sizes = [size for size in sizes if size is not None]
    assert sizes == [*sorted(known_sizes), *[None] * (len(sizes) - len(known_sizes))]
    assert names_of(ordered(ENTRIES, "name")) == sorted(BY_NAME, key=str.casefold)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("qwen3-vl-8b", "Qwen3-VL-8B"),
        ("MedGemma 4B", "MedGemma-4B"),
        ("google/MedGemma-4b-it", "MedGemma-4B"),
        ("OpenGVLab/InternVL3_5-8B", "InternVL3.5-8B"),
        ("dolphin r1", "Dolphin V1 / R1"),
        ("./Qwen3-VL-8B", None),
        ("models/Qwen3-VL-8B", None),
        ("embedded", None),
        ("", None),
    ],
)
def test_names_aliases_and_hub_ids_lead_to_the_entry_and_folders_do_not(written: str, meant: str | None) -> None:
    found = resolve(written)
    assert (found.name if found else None) == meant


def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    with pytest.raises(InputError, match="did you mean Qwen3-VL-8B or"):
        known("Quen3-VL-8B")
    with pytest.raises(InputError, match="models list"):
        known("zzz")


ASKED_HERE = [entry for entry in ENTRIES if entry.loader == "transformers" and entry.hub_id]
ASKED_ELSEWHERE = [entry for entry in ENTRIES if entry.loader == "hosted" and entry.served_as]


@pytest.mark.parametrize("entry", [*ASKED_HERE, *ASKED_ELSEWHERE], ids=lambda entry: entry.name)
def test_what_can_be_asked_gives_the_options_of_a_backend(entry: CatalogEntry) -> None:
    choice = BackendChoice(**choice_of(entry))
    assert choice.backend == ("fada" if entry in ASKED_HERE else "remote")


@pytest.mark.parametrize(
    "entry", [one for one in ENTRIES if one not in ASKED_HERE + ASKED_ELSEWHERE], ids=lambda entry: entry.name
)
def test_what_cannot_be_asked_as_it_is_says_so_in_one_line(entry: CatalogEntry) -> None:
    with pytest.raises(BackendError) as caught:
        choice_of(entry)
    assert str(caught.value).startswith(entry.name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Sonomate", "is not public"),
        ("Moondream2", "needs a server .* --url"),
        ("FADA-SKD-0.8B", "needs a server .*llama.cpp"),
        ("FetalCLIP", "embeds frames and cannot be asked"),
        ("UltraSAM", "teacher's encoder"),
        ("VisionGPT2", "annotator train captioner"),
        ("PaliGemma2", "its hub id is not known here"),
        ("GPT-4o-Mini", "--url https://api.openai.com/v1 --model NAME"),
        ("Medical-VLM-24B", "John Snow Labs has no address here"),
    ],
)
def test_what_cannot_be_asked_says_what_would_mend_it(name: str, reason: str) -> None:
    with pytest.raises(BackendError, match=reason):
        choice_of(known(name))


def test_a_model_that_needs_a_server_is_asked_on_the_one_that_is_named() -> None:
    choice = choice_of(known("Moondream2"), url="http://127.0.0.1:8000/v1")
    assert choice == {"backend": "remote", "model": "vikhyatk/moondream2", "url": "http://127.0.0.1:8000/v1"}
    assert choice_of(known("FADA-SKD-0.8B"), url="http://localhost:8080/v1")["model"] == "FADA-Mobile"


def test_an_adapter_is_chosen_with_its_base() -> None:
    assert choice_of(known("FADA-SKD")) == {
        "backend": "fada",
        "model": "unsloth/Qwen3.5-4B",
        "adapter": "mshz88/FADA-SKD-4B",
    }


def test_hosted_models_name_the_variable_of_their_key_and_an_https_address() -> None:
    for entry in select(ENTRIES, Filter(loader="hosted")):
        provider = provider_of(entry)
        assert provider is not None
        if provider.openai_compatible:
            assert provider.key_variable
            assert provider.base_url
            assert provider.base_url.startswith("https://")
    assert choice_of(known("GPT-4o"))["url"] == "https://api.openai.com/v1"


def test_what_needs_torchvision_or_a_server_says_so() -> None:
    assert needs_of(known("LFM2-VL-450M")) == ("torchvision",)
    assert needs_of(known("Pixtral-12B")) == ("torchvision",)
    assert needs_of(known("Qwen3-VL-8B")) == ()
    assert all(entry.server for entry in ENTRIES if entry.loader in ("server", "gguf"))


GOOD = """
[sources]
tracker = "the tracker"
[metrics.truth]
kind = "ground_truth"
title = "t"
what = "w"
[metrics.guess]
kind = "proxy"
title = "g"
what = "w"
[model_types.qwen3_vl]
builds = "Qwen3VLForConditionalGeneration"
[providers.p]
title = "P"
openai_compatible = true
[[model]]
name = "A"
section = "general"
family = "F"
loader = "transformers"
model_type = "qwen3_vl"
status = "todo"
sources = ["tracker"]
"""


def test_adding_a_model_is_adding_one_entry(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG_FILE.read_text(encoding="utf-8") + GOOD[GOOD.index("[[model]]") :], encoding="utf-8")
    assert read_catalog(file).models[-1].name == "A"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("[sources]", "[sources"), "cannot be read as TOML"),
        (('status = "todo"', ""), "model 'A': status: Field required"),
        (('status = "todo"', 'status = "maybe"'), "model 'A': status: Input should be"),
        (('name = "A"', ""), "model number 1: name: Field required"),
        (('name = "A"', 'name = "A"\nparameters_b = -1.0'), "model 'A': parameters_b: .*greater than 0"),
        (('name = "A"', 'name = "A"\nparametres_b = 1.0'), "model 'A': parametres_b: Extra inputs"),
        (('name = "A"', 'name = "A"\nphase = 1'), "model 'A': `phase` and `step` go together"),
        (("[[model]]", "[model]"), "model: "),
        (('"qwen3_vl"\nstatus', '"qwen9"\nstatus'), "model 'A': model_type 'qwen9' is not among qwen3_vl"),
        (('sources = ["tracker"]', 'sources = ["hearsay"]'), "model 'A': source 'hearsay' is not among tracker"),
        (('loader = "transformers"', 'loader = "server"'), "model 'A': it loads by server, so `server` has to say"),
        (('loader = "transformers"', 'loader = "hosted"'), "model 'A': provider None is not among p"),
        (('name = "A"', 'name = "A"\nsuperseded_by = "B"'), "model 'A': superseded_by 'B' is not among A"),
        (('name = "A"', 'name = "A"\nfrom_memory = ["licens"]'), "model 'A': field from memory 'licens'"),
        (
            ('name = "A"', 'name = "A"\nground_truth = [{ metric = "guess", value = 0.9, source = "tracker" }]'),
            "model 'A': ground_truth metric 'guess' is not among truth",
        ),
        (
            ('name = "A"', 'name = "A"\nproxy = [{ metric = "guess", value = 90.0, source = "tracker" }]'),
            "model 'A': proxy: 0: value: Input should be less than or equal to 1",
        ),
    ],
)
def test_a_file_that_cannot_be_used_names_the_entry_and_the_field(
    tmp_path: Path, change: tuple[str, str], complaint: str
) -> None:
    file = tmp_path / "catalog.toml"
    text = GOOD.replace(*change)
    assert text != GOOD
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=complaint) as caught:
        read_catalog(file)
    assert str(file) in str(caught.value)


def test_one_name_for_two_models_is_an_error(tmp_path: Path) -> None:
    entry = GOOD[GOOD.index("[[model]]") :]
    file = tmp_path / "catalog.toml"
    file.write_text(GOOD + entry.replace('name = "A"', 'name = "B"\naliases = ["a"]'), encoding="utf-8")
    with pytest.raises(InputError, match="the name 'a' belongs to another model too"):
        read_catalog(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml"):
        read_catalog(tmp_path / "nowhere.toml")


def test_every_model_type_builds_the_class_that_transformers_gives_it() -> None:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    types: dict[str, ModelType] = catalog().model_types
    classes = {name: MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.get(name) for name in types}
    assert {name: one.builds for name, one in types.items()} == classes
    assert {entry.model_type for entry in select(ENTRIES, Filter(loader="transformers"))} == set(types)
