"""Workloads as token ids, the input of Sequela's engines."""

from __future__ import annotations

from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.inference import Engine, ScoreRequest
from sequela.models import LanguageModel
from support.workloads import ScoringWorkload


def score_requests(model: LanguageModel, engine: Engine, work: ScoringWorkload) -> list[ScoreRequest]:
    """Returns the requests of a workload, tokenized like the harness: context and continuation together."""
    lm = EngineLM(EditedModel(model), engine)
    pairs = [lm._encode_pair(*instance.args) for instance in work.instances()]
    return [ScoreRequest(tuple(context), tuple(continuation)) for context, continuation in pairs]
