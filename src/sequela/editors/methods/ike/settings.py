"""IKE's settings and record."""

from __future__ import annotations

from pydantic import Field

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters
from sequela.edits.registry import check_source
from sequela.models.aliases import MINILM


class IkeHyperparameters(Hyperparameters):
    """IKE's settings."""

    demonstrations: str = Field(
        default="counterfact-easyedit-train",
        description="The source of the edits for demonstrations, or your own .jsonl file.",
    )
    pool: Count | None = Field(
        default=None, ge=1, description="The number of edits used from that source; all by default."
    )
    n_demonstrations: Count = Field(
        default=16, ge=0, description="The number of demonstrations in a prompt; 0 gives facts only."
    )
    n_facts: Count = Field(default=1, ge=1, description="The maximum number of facts in a prompt.")
    threshold: float | None = Field(
        default=None,
        gt=-1,
        lt=1,
        description="The minimum cosine similarity of a request and an edit's question for the fact to be "
        "added; by default the nearest facts are added to every request.",
    )
    retriever: str = Field(
        default=MINILM,
        description="The retriever of similar texts: all-minilm-l6-v2, another sentence encoder's folder or "
        "hub id, or words, which compares words and needs no encoder.",
    )

    def check_data(self) -> None:
        """Checks the source of the demonstrations.

        Raises:
            SequelaError: It is unknown, or its data are missing or invalid.
        """
        if self.n_demonstrations:
            check_source(self.demonstrations)


IKE = MethodInfo(
    name="ike",
    summary="New facts and demonstrations in the prompt (Zheng et al. 2023).",
    paper="Zheng et al. 2023, arXiv 2305.12740",
    settings=IkeHyperparameters,
    implementation="sequela.editors.methods.ike.editor:Ike",
    location="prompt",
    needs_subject=False,
)
