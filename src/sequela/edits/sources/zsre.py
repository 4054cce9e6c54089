"""ZsRE, zero-shot relation extraction questions as MEND's authors published them.

Levy et al. 2017 (arXiv:1706.04115), Mitchell et al. 2022 (arXiv:2110.11309); portability
questions from Yao et al. 2023 (arXiv:2305.13172). Prompts are questions. Records have no id;
an edit's id is the record's index in the file, from 0.
"""

from __future__ import annotations

from pydantic import Field

from sequela.edits.edit import Edit, Probe
from sequela.edits.sources.hub import HubFile
from sequela.edits.sources.records import Record, RecordSchema, locate_subject, nonempty_target
from sequela.edits.sources.source import Source


class PortabilityQuestion(RecordSchema):
    """A question whose answer follows from the new fact and another one."""

    question: str = Field(alias="New Question")
    answer: str = Field(alias="New Answer")


class ZsreRecord(RecordSchema):
    """A record of MEND's files: `alt` is the answer to be learned, `loc` an unrelated question."""

    subject: str
    src: str
    rephrase: str
    alt: str
    answers: tuple[str, ...] = Field(min_length=1)
    loc: str
    loc_ans: str
    portability: PortabilityQuestion | None = None

    def to_edit(self, number: int, source: str) -> Edit:
        """Returns the record as an edit."""
        prompt, subject = locate_subject(self.src, self.subject)
        further = self.portability
        return Edit(
            id=str(number - 1),
            subject=subject,
            prompt=prompt,
            target_new=nonempty_target(self.alt),
            target_true=self.answers[0],
            paraphrases=(self.rephrase,),
            # ROME's evaluation adds the question mark that these Natural Questions are stored without.
            neighborhood=(Probe(prompt=f"{self.loc}?", answer=self.loc_ans),),
            portability=() if further is None else (Probe(prompt=further.question, answer=further.answer),),
            source=source,
        )


def parse_zsre(record: Record, source: str) -> Edit:
    """Converts a record to an edit."""
    return ZsreRecord.model_validate(record.content).to_edit(record.number, source)


_HUB_REPOSITORY = "wangzn2001/Model_Editing_Hurt"

ZSRE_SOURCES = (
    Source(
        name="zsre",
        about="ZsRE: questions with a rephrase and an unrelated question (evaluation split)",
        license="not stated",
        parse=parse_zsre,
        files=("zsre/zsre_mend_eval.json", "zsre/zsre_mend_eval_portability_gpt4.json"),
        hub=HubFile(_HUB_REPOSITORY, "training-data/zsre_mend_eval.json"),
    ),
    Source(
        name="zsre-train",
        about="ZsRE, training split (for editors that are trained)",
        license="not stated",
        parse=parse_zsre,
        files=("zsre/zsre_mend_train.json", "zsre/zsre_mend_train-1k.json"),
        hub=HubFile(_HUB_REPOSITORY, "training-data/zsre_mend_train.json"),
    ),
)
