"""The records that Sequela lists and checks, without importing PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field

from sequela.editors import Hyperparameters, MethodInfo, RegularizerInfo, RegularizerSettings
from sequela.edits import Edit, Probe, Record, Source
from sequela.evaluation import LimitedOptions, ProbeMetric, SuiteDescription, SuiteEntry
from sequela.inference import EngineInfo
from sequela.models import LLAMA


class DoublingHyperparameters(Hyperparameters):
    """The method's settings."""

    layer: int = Field(default=0, ge=0, description="The layer to scale.")
    factor: float = Field(default=2.0, gt=0, description="The factor applied to the weight once per edit.")


class HalvingSettings(RegularizerSettings):
    """The regularizer's settings."""

    share: float = Field(default=0.5, gt=0, le=1, description="The fraction of the change that is kept.")


DOUBLING = MethodInfo(
    name="doubling",
    summary="Scales the output projection of one MLP.",
    settings=DoublingHyperparameters,
    implementation="sequela_example_plugin.method:Doubling",
)

HALVING = RegularizerInfo(
    name="halving",
    summary="Scales down every change.",
    paper="none",
    settings=HalvingSettings,
    implementation="sequela_example_plugin.method:Halving",
)

PLAIN = EngineInfo(
    "plain", "The reference engine: plain batches.", "sequela_example_plugin.engine:open_plain"
)

OLMO = replace(LLAMA, name="olmo", architectures=("OlmoForCausalLM",))


def _river(record: Record, source: str) -> Edit:
    return Edit.model_validate({**record.content, "source": source})


RIVERS = Source(
    name="example-rivers",
    about="Cities on rivers, moved to other rivers.",
    license="CC0",
    parse=_river,
    package_file=Path(__file__).parent / "rivers.jsonl",
)


def _politely(edit: Edit) -> tuple[Probe, ...]:
    return (Probe(prompt=f"Please complete this sentence. {edit.question}", answer=edit.target_new),)


def _mentions(answer: str, expected: str) -> bool:
    return expected.casefold() in answer.casefold()


ASKED_POLITELY = ProbeMetric(
    "asked_politely", "The new answer, anywhere in the text, for a polite prompt.", 1, _politely, _mentions
)


def _describe() -> tuple[SuiteDescription, ...]:
    about = "The length of the generated text."
    return (
        SuiteDescription("answer-length", "two_prompts", "generation", about, ("characters",), "two prompts"),
    )


ANSWER_LENGTH = SuiteEntry(
    "answer-length", LimitedOptions, "sequela_example_plugin.suite:AnswerLength", _describe
)
