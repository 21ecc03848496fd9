"""The captioning study's averages: ten of its thirteen printed rows reproduce, three do not."""

import pytest

from exports.text.study import FACTUALITY_PARTS, RELEVANCE_PARTS, study_averages

# Similarity, BERTScore, ROUGE, BLEURT, UMLS F1, AlignScore; then relevance, factuality, overall as printed.
ROWS: dict[str, tuple[float, ...]] = {
    "LLaVA Mistral-7B": (0.870, 0.628, 0.251, 0.315, 0.154, 0.081, 0.516, 0.118, 0.317),
    "LLaVA Vicuna-7B": (0.830, 0.625, 0.245, 0.314, 0.142, 0.076, 0.504, 0.109, 0.306),
    "IDEFICS-9B": (0.781, 0.621, 0.229, 0.296, 0.128, 0.070, 0.482, 0.099, 0.290),
    "LLaVA-1.5": (0.720, 0.617, 0.218, 0.295, 0.108, 0.059, 0.462, 0.083, 0.273),
    "MoonDream2": (0.757, 0.586, 0.216, 0.303, 0.120, 0.066, 0.466, 0.093, 0.279),
    "Qwen 2-VL": (0.570, 0.518, 0.160, 0.238, 0.074, 0.109, 0.372, 0.091, 0.232),
    "SmolVLM": (0.414, 0.536, 0.136, 0.252, 0.016, 0.060, 0.362, 0.038, 0.200),
    "Qwen-2.5": (0.449, 0.453, 0.124, 0.256, 0.048, 0.064, 0.320, 0.056, 0.188),
    "VisionGPT2": (0.389, 0.546, 0.118, 0.247, 0.022, 0.035, 0.325, 0.028, 0.177),
    "CNN-Transformer": (0.399, 0.414, 0.044, 0.277, 0.018, 0.030, 0.284, 0.024, 0.154),
    "SmolVLM+Modality": (0.418, 0.532, 0.144, 0.266, 0.031, 0.096, 0.365, 0.048, 0.207),
    "Qwen 2-VL+Modality": (0.364, 0.456, 0.121, 0.311, 0.017, 0.086, 0.313, 0.052, 0.182),
    "Qwen-2.5+Modality": (0.502, 0.461, 0.122, 0.268, 0.032, 0.065, 0.351, 0.049, 0.200),
}
# What the printed parts really give.
NOT_REPRODUCED = {
    "SmolVLM": {"relevance": 0.3345},
    "SmolVLM+Modality": {"relevance": 0.340, "factuality": 0.0635},
    "Qwen-2.5+Modality": {"relevance": 0.338},
}
ROUNDING = 0.00151


def averages_of(row: tuple[float, ...]) -> dict[str, float]:
    figures = study_averages(dict(zip((*RELEVANCE_PARTS, *FACTUALITY_PARTS), row[:6], strict=True)))
    return {name: figure["value"] for name, figure in figures.items()}


@pytest.mark.parametrize("name", sorted(set(ROWS) - set(NOT_REPRODUCED)))
def test_a_printed_row_reproduces(name: str) -> None:
    relevance, factuality, overall = ROWS[name][6:]
    assert averages_of(ROWS[name]) == {
        "relevance": pytest.approx(relevance, abs=ROUNDING),
        "factuality": pytest.approx(factuality, abs=ROUNDING),
        "overall": pytest.approx(overall, abs=ROUNDING),
    }


@pytest.mark.parametrize("name", sorted(NOT_REPRODUCED))
def test_three_printed_rows_do_not_follow_from_their_own_parts(name: str) -> None:
    printed = dict(zip(("relevance", "factuality", "overall"), ROWS[name][6:], strict=True))
    for average, value in NOT_REPRODUCED[name].items():
        assert averages_of(ROWS[name])[average] == pytest.approx(value, abs=0.0006)
        assert abs(value - printed[average]) > 0.01


def test_overall_is_the_mean_of_the_printed_averages_in_all_thirteen() -> None:
    for row in ROWS.values():
        assert (row[6] + row[7]) / 2 == pytest.approx(row[8], abs=0.00101)


def test_an_average_that_lacks_a_part_is_null_and_says_which() -> None:
    figures = study_averages({"ROUGE-1 F": 0.2, "UMLS concept F1": 0.1, "AlignScore": 0.3})
    assert figures["factuality"] == {"value": pytest.approx(0.2)}
    assert figures["relevance"]["value"] is None
    assert "BLEURT-20" in figures["relevance"]["reason"]
    assert figures["overall"] == {"value": None, "reason": "without relevance"}
