"""IKE: its settings, and what a listing tells of it."""

from __future__ import annotations

from pydantic import Field

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters
from sequela.models.aliases import MINILM


class IkeHyperparameters(Hyperparameters):
    """IKE's settings."""

    demonstrations: str = Field(
        default="counterfact-easyedit-train",
        description="The source of edits that demonstrations are made of, or your own .jsonl file.",
    )
    pool: int | None = Field(
        default=None, ge=1, description="How many edits of that source, from the first; all by default."
    )
    n_demonstrations: int = Field(
        default=16, ge=0, description="Demonstrations in front of a request; 0 tells the fact alone."
    )
    n_facts: int = Field(default=1, ge=1, description="The most facts that are told with one request.")
    threshold: float | None = Field(
        default=None,
        gt=-1,
        lt=1,
        description="The least cosine of a request and an edit's question at which the fact is told; by "
        "default the nearest facts are told with every request.",
    )
    retriever: str = Field(
        default=MINILM,
        description="What finds near texts: all-minilm-l6-v2, another sentence encoder's folder or hub id, "
        "or words, which compares words and needs no encoder.",
    )


IKE = MethodInfo(
    name="ike",
    summary="New facts and demonstrations in front of each request (Zheng et al. 2023).",
    paper="Zheng et al. 2023, arXiv 2305.12740",
    settings=IkeHyperparameters,
    implementation="sequela.editors.methods.ike.editor:Ike",
    location="prompt",
    needs_subject=False,
)
