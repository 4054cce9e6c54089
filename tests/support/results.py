"""Made-up records of results."""

from __future__ import annotations

from sequela.results import EditRecord, EvaluationKey, ItemRecord, Measurement

KEY = EvaluationKey(trajectory="t1", n_edits=5, suite="mmlu", suite_version="v1", model_hash="m1")


def key(number: int) -> EvaluationKey:
    """Returns one of many keys."""
    return KEY.model_copy(update={"model_hash": f"model {number}"})


def measurement(task: str = "mmlu", n_edits: int = 5, editor: str = "rome", **more: object) -> Measurement:
    fields: dict[str, object] = {
        "model": "tiny",
        "editor": editor,
        "variant": "r-rome",
        "edit_source": "builtin",
        "order_seed": 0,
        "n_edits": n_edits,
        "suite": "mmlu",
        "task": task,
        "metric": "accuracy",
        "protocol": "loglikelihood",
        "value": 0.25,
        "stderr": 0.1,
        "n": 2,
        "baseline": 0.5,
    }
    return Measurement.model_validate({**fields, **more})


def item(name: str, value: float = 1.0, answer: str = "Paris") -> ItemRecord:
    return ItemRecord(
        suite="mmlu",
        task="mmlu",
        metric="accuracy",
        protocol="loglikelihood",
        item=name,
        value=value,
        prompt="The capital of France is",
        answer=answer,
        expected="Paris",
        details={"choices": ["Paris", "Rome"], "logits": [1.5, -2.0]},
    )


def edit_record(position: int, seconds: float = 2.0, **more: object) -> EditRecord:
    fields: dict[str, object] = {
        "trajectory": "t1",
        "model": "tiny",
        "editor": "rome",
        "edit_source": "builtin",
        "order_seed": 0,
        "edit_id": f"e{position}",
        "position": position,
        "batch": position,
        "prompt": "The capital of France is",
        "target_new": "Rome",
        "seconds": seconds,
        "optimization_steps": 20,
        "first_loss": 4.5,
        "final_loss": 0.02,
        "relative_norm": 0.01,
        "success": (item("e"),),
    }
    return EditRecord.model_validate({**fields, **more})
