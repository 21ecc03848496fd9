"""Every model that a table of the project's tracker, comparisons and papers names: where, as written there, and
which entry is meant where the name alone does not say."""

TRACKER: dict[str, tuple[str, ...]] = {
    "fetal": ("Dolphin V1 / R1", "FetalCLIP", "EchoVLM", "FetalMind", "Sonomate", "LLaVA-Ultra", "AbVLM-Q"),
    "general": (
        *("Qwen3.5-35B-A3B", "Qwen3.5-27B", "Qwen3-VL-8B", "Qwen3-VL-4B", "Qwen3-VL-2B", "Qwen3-VL-8B-Thinking"),
        *("InternVL3.5-8B", "InternVL3.5-4B", "InternVL3.5-38B"),
        *("LLaVA-OneVision-1.5-8B", "LLaVA-OneVision-1.5-4B", "DeepSeek-VL2", "Phi-4-Multimodal-Instruct"),
        *("Mistral-Small-3.1-24B", "Gemma-3-4B", "Gemma-3-12B", "Gemma-3-27B"),
    ),
    "earlier": (
        *("Qwen2.5-VL-7B", "MiniCPM-V-2.6", "Qwen2-VL-2B", "InternVL2-4B", "Qwen2-VL-7B", "LLaVA-OneVision"),
        *("Molmo-7B", "PaliGemma2"),
    ),
    "medical": (
        *("MedGemma-27B", "MedGemma-4B", "MedVLM-R1", "Medical-VLM-24B", "MindGPT-Med", "MedDr", "LLaVA-Med"),
        "CheXagent-8B",
    ),
    "mobile": (
        *("SmolVLM-256M", "SmolVLM-500M", "SmolVLM-2.2B", "Moondream2", "MobileVLM-V2-1.7B", "MobileVLM-V2-3B"),
        *("LFM2-VL-450M", "LFM2-VL-1.6B"),
    ),
    "hosted": (
        *("Gemini-3-Flash", "Gemini-3-Pro", "GPT-4o", "GPT-4o-Mini", "Claude-4-Sonnet", "Qwen-Max"),
        "Doubao-1.5-Vision-Pro-32k",
    ),
}
# The tracker's own summary says 16 and 54: its table of the current generation has one row more.
TRACKER_ROWS = {"fetal": 7, "general": 17, "earlier": 8, "medical": 8, "mobile": 8, "hosted": 7}

PLAN: dict[int, tuple[str, ...]] = {
    1: (
        *("Qwen3-VL-8B", "Qwen3.5-35B-A3B", "InternVL3.5-8B", "LLaVA-OneVision-1.5-8B"),
        *("Phi-4-Multimodal-Instruct", "Mistral-Small-3.1-24B", "DeepSeek-VL2"),
    ),
    2: ("FetalCLIP", "Dolphin V1", "MedVLM-R1"),
    3: ("MiniCPM-V-2.6", "Qwen2.5-VL-7B", "InternVL2-4B"),
    4: ("SmolVLM-2.2B", "Qwen3-VL-2B", "MobileVLM-V2-3B", "Moondream2"),
}

U2_BENCH = (
    *("Dolphin V1", "Gemini-2.5-Pro-Preview", "medgemma-4b-it", "DeepSeek-VL2", "Doubao-1.5-Vision-Pro-32k"),
    *("InternVL3-9B-Instruct", "Qwen-2.5-VL-32B-Instruct", "Qwen-Max", "Gemini-2.5-Pro-Exp"),
    *("Qwen-2.5-VL-72B-Instruct", "GPT-4o-Mini", "LLaVA-1.5-13B", "MindGPT-Med", "MedDr"),
    *("Mistral-Small-3.1-24B-Inst.", "GPT-4o", "Qwen-2.5-VL-7B-Instruct", "Phi-4-Multimodal-Instruct"),
    *("Qwen-2.5-VL-3B-Instruct", "Gemini-1.5-Pro", "Claude-3.7-Sonnet"),
)

# Tables beside the tracker's own: a name alone, or a name and what it means there.
Named = str | tuple[str, str]
ELSEWHERE: dict[str, tuple[Named, ...]] = {
    "tracker: fine-tuned by Unsloth": (
        *(
            "Qwen2-VL-2B",
            "Qwen2-VL-7B",
            "Qwen2.5-VL-3B",
            "Qwen2.5-VL-7B",
            "Qwen3-VL-2B",
            "Qwen3-VL-4B",
            "Qwen3-VL-8B",
        ),
    ),
    "tracker: likely by Unsloth": (
        *("Qwen3.5-35B-A3B", "Llama-3.2-Vision-11B", "Pixtral-12B"),
        *(("Gemma-3-4B/12B", "Gemma-3-4B"), ("Gemma-3-4B/12B", "Gemma-3-12B")),
    ),
    "tracker: fine-tuned otherwise": (
        *("MiniCPM-V-2.6", "DeepSeek-VL2", "Phi-4-Multimodal-Instruct", "Mistral-Small-3.1-24B"),
        *(("InternVL3.5-4B/8B", "InternVL3.5-4B"), ("InternVL3.5-4B/8B", "InternVL3.5-8B")),
        ("LLaVA-OneVision-1.5-4B/8B", "LLaVA-OneVision-1.5-4B"),
        ("LLaVA-OneVision-1.5-4B/8B", "LLaVA-OneVision-1.5-8B"),
    ),
    "tracker: for phones": (
        *("Qwen3-VL-2B", "SmolVLM-500M", "MobileVLM-V2-1.7B", "Qwen2-VL-2B", "SmolVLM-256M", "Moondream2"),
    ),
    "tracker: dropped": (
        *(("Qwen2-VL-2B/7B", "Qwen2-VL-2B"), ("Qwen2-VL-2B/7B", "Qwen2-VL-7B"), "Qwen2.5-VL-3B"),
        *(("InternVL2-2B/4B", "InternVL2-2B"), ("InternVL2-2B/4B", "InternVL2-4B"), "InternVL3-78B"),
        *("Pixtral-12B", "Llama-3.2-Vision-11B", "Claude-3.5-Sonnet"),
        ("Gemma-3-Vision (duplicated)", "Gemma-3-4B"),
    ),
    "comparison of four models": (
        *("BLIP-2", "MedGemma 4B", "Florence-2", "LLaVA-1.5"),
        *("BLIP-2 (2.7B)", ("MedGemma (4.3B)", "MedGemma-4B"), "Florence-2 (0.7B)", "LLaVA (7B)"),
        *("MedGemma", ("LLaVA", "LLaVA-1.5-7B")),
    ),
    "trial of SmolVLM-500M": ("SmolVLM-500M", "BLIP-2", "FetalCLIP"),
    "captioning study: models": (
        *("IDEFICS 9B Instruct", "LLaVA v1.6 Mistral 7B", "LLaVA v1.6 Vicuna 7B", "LLaVA v1.5 with LLaMA 7B"),
        *("Qwen 2.5-3B-Instruct", ("Qwen 2-VL", "Qwen2-VL-2B"), "MoonDream2", "SmolVLM-500M-Instruct"),
        *("VisionGPT2", ("CNN–Transformer Fusion", "CNN-Transformer")),
    ),
    "captioning study: training": (
        *("LLaVA-Mistral-7B", "LLaVA-Vicuna-7B", "LLaVA-1.5", "IDEFICS-9B", "Qwen-2.5-3B", "MoonDream2"),
        *(("Qwen-2-VL", "Qwen2-VL-2B"), "SmolVLM-500M", "VisionGPT2", "CNN-Transformer"),
    ),
    "captioning study: results": (
        *("LLaVA Mistral-7B", "LLaVA Vicuna-7B", "IDEFICS-9B", "LLaVA-1.5", "MoonDream2"),
        *(("Qwen 2-VL", "Qwen2-VL-2B"), ("SmolVLM", "SmolVLM-500M"), ("Qwen-2.5", "Qwen2.5-VL-3B")),
        *("VisionGPT2", "CNN-Transformer", ("Qwen 2.5", "Qwen2.5-VL-3B")),
    ),
    "FADA paper": ("FADA-SKD", "Qwen3.5-VL", "FetalCLIP", "UltraSAM", "USF-MAE", "UltraFedFM"),
    "FADA's results": ("Base 4B", "SKD 4B", "FKD 4B", "Base 0.8B", "SKD 0.8B"),
}
