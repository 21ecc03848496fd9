"""The model card of an adapter, written from training.json so that its figures are those of the run."""

from typing import Any

_CARD = """# Model card: a LoRA adapter for fetal ultrasound frames

**Research and development only: not a medical device, not for clinical use.** A sonographer checks everything it
says. Nothing here tells how good it is: `annotator evaluate` and `annotator models promote` do, on frames it never
saw.

## What it goes onto
{base}

## What it was trained on
{data}

## What was trained
{trained}

## How
{how}

## Distillation
{distillation}
"""


def model_card(described: dict[str, Any]) -> str:
    """Markdown from a complete training.json."""
    return _CARD.format(
        base=_base(described),
        data=_data(described["data"], described["warnings"]),
        trained=_trained(described),
        how=_how(described),
        distillation=_distillation(described["distillation"]),
    )


def _base(described: dict[str, Any]) -> str:
    base, parent = described["base"], described["parent"]
    text = f"`{base['name']}`, content {base['sha256'][:12]}. Its licence holds for what is made from it."
    if parent:
        text += f" Training began from the adapter `{parent['name']}`, content {parent['sha256'][:12]}."
    return text


def _data(data: dict[str, Any], warnings: list[str]) -> str:
    counts = ", ".join(f"{count} {task}" for task, count in data["conversations"].items())
    lines = [f"Conversations about {data['images']} frames: {counts}. SHA-256 of the file {data['sha256'][:12]}."]
    lines += [f"Left out: {count}, {why}." for why, count in data["left_out"].items()]
    return "\n".join([*lines, *warnings])


def _trained(described: dict[str, Any]) -> str:
    report = described["trained"]
    made = f"preset {described['preset']}" if described["preset"] else "the layers of the adapter it began from"
    rows = [f"| {kind} | {one['modules']} | {one['parameters']:,} |" for kind, one in report["by_kind"].items()]
    head = f"{report['trained']:,} parameters, {report['share_percent']} % of the model: {made}"
    scale = ", ".join(f"{name} {value}" for name, value in described["lora"].items())
    return "\n".join(
        [
            f"{head}, {scale}.",
            "",
            "| kind of layer | modules | parameters |",
            "|---|---|---|",
            *rows,
        ]
    )


def _how(described: dict[str, Any]) -> str:
    settings, environment, curve = described["settings"], described["environment"], described["curve"]
    return (
        f"{described['steps']} steps of {settings['batch'] * settings['accumulation']} conversations, rate "
        f"{settings['learning_rate']:g} with a warm cosine, seed {settings['seed']}, {environment['precision']} on "
        f"{environment['device']}, torch {environment['torch']}, transformers {environment['transformers']}, peft "
        f"{environment['peft']}. Loss: mean cross entropy of an answer's tokens, mean over conversations; "
        f"{curve[0]['task']:.4f} at the first step, {curve[-1]['task']:.4f} at the last."
    )


def _distillation(told: dict[str, Any] | None) -> str:
    if told is None:
        return "None."
    lines = [
        f"{told['mode'].capitalize()}, weight {told['weight']:g}: {told['conversations']} conversations were "
        f"trained on features too, {told['conversations_without_features']} more would have been but have none.",
        "",
        "| teacher | share | licence | non-commercial | file |",
        "|---|---|---|---|---|",
    ]
    for name, source in told["teachers"].items():
        restricted = "**yes**" if source["non_commercial"] else "no"
        share = told["teacher_weights"][name]
        lines.append(f"| {name} | {share:.2f} | {source['licence']} | {restricted} | {source['sha256'][:12]} |")
    if any(source["non_commercial"] for source in told["teachers"].values()):
        lines += [
            "",
            "A teacher is licensed for non-commercial use. Whether that binds a model that learnt from its "
            "features is not settled: treat this adapter as non-commercial until someone who may decide has "
            "decided.",
        ]
    return "\n".join(lines)
