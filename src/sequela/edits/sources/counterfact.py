"""CounterFact (Meng et al. 2022, arXiv:2202.05262) in its two published schemas.

The official schema keeps `{}` in the prompt; EasyEdit's flat schema writes the subject out.
The fields of a record show its schema, so either source name reads either schema.

A caveat about the flat files: their single rephrase is mostly one of the official *generation*
prompts, so a score on it is not the paraphrase score of the paper.
"""

from __future__ import annotations

from pydantic import Field

from sequela.edits.edit import Edit, Probe
from sequela.edits.sources.hub import HubTable
from sequela.edits.sources.records import Record, RecordSchema, locate_subject, nonempty_target
from sequela.edits.sources.source import Source


class Target(RecordSchema):
    """An answer in the official schema."""

    text: str = Field(alias="str")


class RequestedRewrite(RecordSchema):
    """The fact to be changed in the official schema."""

    prompt: str
    subject: str
    target_new: Target
    target_true: Target
    relation_id: str | None = None


class OfficialRecord(RecordSchema):
    """A record as ROME's authors published it; the neighbors' answer is the edit's true target."""

    case_id: int
    requested_rewrite: RequestedRewrite
    paraphrase_prompts: tuple[str, ...]
    neighborhood_prompts: tuple[str, ...]
    generation_prompts: tuple[str, ...] = ()
    attribute_prompts: tuple[str, ...] = ()

    def to_edit(self, source: str) -> Edit:
        """Returns the record as an edit."""
        rewrite = self.requested_rewrite
        prompt, subject = locate_subject(rewrite.prompt, rewrite.subject)
        return Edit(
            id=str(self.case_id),
            subject=subject,
            prompt=prompt,
            target_new=nonempty_target(rewrite.target_new.text),
            target_true=rewrite.target_true.text,
            paraphrases=self.paraphrase_prompts,
            neighborhood=tuple(
                Probe(prompt=neighbor, answer=rewrite.target_true.text)
                for neighbor in self.neighborhood_prompts
            ),
            generation=tuple(dict.fromkeys(self.generation_prompts)),
            attribute=tuple(dict.fromkeys(self.attribute_prompts)),
            relation=rewrite.relation_id,
            source=source,
        )


class FlatRecord(RecordSchema):
    """A record as EasyEdit published it: one rephrase, one neighbor, the subject written out."""

    case_id: int
    prompt: str
    subject: str
    target_new: str
    ground_truth: str
    rephrase_prompt: str
    locality_prompt: str
    locality_ground_truth: str

    def to_edit(self, source: str) -> Edit:
        """Returns the record as an edit."""
        prompt, subject = locate_subject(self.prompt, self.subject)
        return Edit(
            id=str(self.case_id),
            subject=subject,
            prompt=prompt,
            target_new=nonempty_target(self.target_new),
            target_true=self.ground_truth,
            paraphrases=(self.rephrase_prompt,),
            neighborhood=(Probe(prompt=self.locality_prompt, answer=self.locality_ground_truth),),
            source=source,
        )


def parse_counterfact(record: Record, source: str) -> Edit:
    """Converts a record of either schema to an edit."""
    schema = OfficialRecord if "requested_rewrite" in record.content else FlatRecord
    return schema.model_validate(record.content).to_edit(source)


COUNTERFACT_SOURCES = (
    Source(
        name="counterfact",
        about="CounterFact: false facts with paraphrases and neighbors (official schema)",
        license="MIT",
        parse=parse_counterfact,
        files=("counterfact/counterfact.json", "counterfact/counterfact_1000_full_schema.json"),
        hub=HubTable("azhx/counterfact", splits="train+test", order="case_id"),
    ),
    Source(
        name="counterfact-easyedit",
        about="CounterFact, EasyEdit's edit split: one rephrase and one neighbor per fact",
        license="MIT",
        parse=parse_counterfact,
        files=("counterfact/counterfact-edit.json", "counterfact/easyedit_counterfact-edit.json"),
    ),
    Source(
        name="counterfact-easyedit-train",
        about="CounterFact, EasyEdit's training split (for editors that are trained)",
        license="MIT",
        parse=parse_counterfact,
        files=("counterfact/counterfact-train.json", "counterfact/easyedit_counterfact-train.json"),
    ),
)
