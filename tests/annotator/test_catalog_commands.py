"""`models list` and `models show`, as they are typed."""

import json
from typing import Any

import pytest

from annotator.cli import main


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["models", *words])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def as_document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, _ = typed(capsys, *words, "--json")
    assert code == 0
    document: dict[str, Any] = json.loads(out)
    return document


def test_the_list_as_json_holds_everything_known(capsys: pytest.CaptureFixture[str]) -> None:
    document = as_document(capsys, "list", "--family", "Qwen", "--max-memory-gib", "5", "--sort", "score")
    names = [model["name"] for model in document["models"]]
    assert document["count"] == len(names)
    assert names[0] == "Qwen3-VL-2B"
    first = document["models"][0]
    assert first["hub_id"] == "Qwen/Qwen3-VL-2B-Instruct"
    assert first["builds"] == "Qwen3VLForConditionalGeneration"
    assert not first["memory"]["int4"]["computed"]
    assert first["memory"]["bf16"] == {"gib": pytest.approx(3.725, abs=1e-3), "computed": True}
    assert set(document["metrics"]) >= {score["metric"] for score in first["ground_truth"]}


def test_the_table_marks_proxies_and_computed_memory(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = typed(capsys, "list", "--metric", "keyword_proxy", "--sort", "score")
    lines = out.splitlines()
    assert "PROXY" in lines[0]
    assert lines[1].startswith("MiniCPM-V-2.6")
    assert "14.9*" in lines[1]


def test_the_tracker_in_markdown_has_every_model_once_in_the_table_of_its_section(
    capsys: pytest.CaptureFixture[str],
) -> None:
    everything = as_document(capsys, "list")["models"]
    _, out, _ = typed(capsys, "list", "--markdown")
    tables, plan = out.split("## Plan")
    for model in everything:
        cells = [line.split(" | ")[0].strip("| *") for line in tables.splitlines() if line.startswith("| ")]
        assert cells.count(model["name"]) == 1, model["name"]
    assert "1. Qwen3-VL-8B (local tested)" in plan
    assert f"| **Total** | {len(everything)} |" in plan


def test_every_row_of_the_tracker_has_as_many_cells_as_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = typed(capsys, "list", "--markdown")
    tables = [block.splitlines() for block in out.split("\n\n") if block.startswith("|")]
    assert len(tables) > 10
    for table in tables:
        assert len({row.count(" | ") for row in table}) == 1, table[0]


def test_reference_scores_and_proxies_stand_in_columns_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = typed(capsys, "list", "--markdown", "--status", "proxy_tested")
    rows = [line.split(" | ") for line in out.splitlines() if line.startswith("| ")]
    heads = next(row for row in rows if "Proxy" in row)
    proxy, truth = heads.index("Proxy"), heads.index("Against reference answers")
    mini = next(row for row in rows if "MiniCPM" in row[0])
    assert mini[proxy] == "keyword proxy 0.889, n ≈ 250"
    assert mini[truth] == "eight fields 0.292"


def test_a_filter_that_nothing_passes_gives_an_empty_list_and_a_short_tracker(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert as_document(capsys, "list", "--max-memory-gib", "0")["models"] == []
    code, out, _ = typed(capsys, "list", "--max-memory-gib", "0", "--markdown")
    assert code == 0
    assert out.startswith("# Models")


def test_one_model_is_shown_with_its_scores_sources_and_the_way_to_ask_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, out, _ = typed(capsys, "show", "medgemma 4b")
    assert "PROXY        ~0.650" in out
    assert "ground truth 0.304" in out
    assert "annotator models check 'MedGemma-4B'" in out
    document = as_document(capsys, "show", "GPT-4o")
    assert document["hosted_by"]["key_variable"] == "OPENAI_API_KEY"
    assert "--allow-upload" in document["how_to_ask"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("show", "Quen3-VL-8B"), "did you mean Qwen3-VL-8B"),
        (("list", "--loader", "magic"), "loader: Input should be 'transformers'"),
        (("list", "--status", "soon"), "status: Input should be 'todo'"),
        (("list", "--family", "Quen"), "no family 'Quen'"),
        (("list", "--metric", "charm"), "no metric 'charm'; there is: eight_fields"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_line(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], complaint: str
) -> None:
    code, out, err = typed(capsys, *words)
    assert (code, out) == (1, "")
    assert complaint in err
    assert err.count("\n") == 1
