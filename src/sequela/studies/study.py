"""What a study file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

from sequela.core.hashing import hash_json
from sequela.editors import BadEditPolicy
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.monitor_rules import MonitorSettings, due_edit_counts
from sequela.statistics import CorpusSpec

Template = Literal["none", "chat"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EditorChoice(_Part):
    """A method with its settings.

    Args:
        name: The method, with regularizers: `rome`, `memit+rect`.
        batch_size: Edits made together; the next batch is made on the model the last one left.
        settings: Hyper-parameters that differ from the method's preset and defaults; those of a regularizer
            stand under its name.
    """

    name: str
    batch_size: int = Field(default=1, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)


class EditsChoice(_Part):
    """Which edits.

    Args:
        source: A source's name, or a file.
        count: How many, from the first; as many as the last checkpoint by default.
        file: A file in the source's schema, instead of the published one.
    """

    source: str = "builtin"
    count: int | None = Field(default=None, ge=1)
    file: str | None = None

    @property
    def path(self) -> Path | None:
        """The file, with `~` replaced by the user's home folder."""
        return Path(self.file).expanduser() if self.file else None


class SuiteChoice(_Part):
    """A suite with its options.

    Args:
        name: The suite.
        options: Its options, e.g. `limit`; in a study file they stand beside the name.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Study(_Part):
    """An experiment: models x editors x orders of edits, measured at checkpoints.

    Args:
        name: Names the study and its folder.
        models: Hub ids, folders, GGUF files or aliases.
        editors: The methods.
        edits: What is edited.
        order_seeds: One trajectory per seed; each seed puts the same edits in another order.
        checkpoints: After how many edits everything is measured; 0, the unedited model, is always.
        suites: What is measured besides edit quality.
        edit_template: How editors are given the edits: `none`, as they stand, or `chat`, as a user's turn in
            the model's chat template (sampled contexts stand before it).
        evaluation_template: How everything that is measured is asked; the same two.
        edit_quality: How edit quality is measured.
        statistics: The text that key statistics are taken over.
        alarms: When the model's health is read on the way, and what rings.
        on_bad_edit: What follows an edit that changes weights explosively: `report`, `skip` or `stop`.
        seed: The seed of everything editors draw (contexts).
        device: Where models run; by default the best there is.
        dtype: The dtype of the weights; `auto` is bfloat16 where the device computes it natively.
        engine: What runs the requests: `torch`, `vllm` where it is installed, or that of a package.
        memory: The most memory the process shall hold, such as `4GiB`; by default engines take what they
            are quickest with. It doesn't change what is measured.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    models: tuple[str, ...] = Field(min_length=1)
    editors: tuple[EditorChoice, ...] = Field(min_length=1)
    edits: EditsChoice = EditsChoice()
    order_seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    checkpoints: tuple[int, ...] = Field(default=(0, 1, 5, 10), min_length=1)
    suites: tuple[SuiteChoice, ...] = (SuiteChoice(name="builtin"), SuiteChoice(name="perplexity"))
    edit_template: Template = "none"
    evaluation_template: Template = "none"
    edit_quality: EditQualitySettings = EditQualitySettings()
    statistics: CorpusSpec = CorpusSpec()
    alarms: MonitorSettings = MonitorSettings()
    on_bad_edit: BadEditPolicy = BadEditPolicy()
    seed: int = 0
    device: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    engine: str = "torch"
    memory: ByteSize | None = None

    @field_validator("editors", "suites", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        """A name alone means the name with defaults."""
        if not isinstance(value, list | tuple):
            return value
        return [{"name": item} if isinstance(item, str) else item for item in value]

    @field_validator("suites", mode="before")
    @classmethod
    def _options_beside_the_name(cls, value: Any) -> Any:
        """A suite's options may stand beside its name."""
        if not isinstance(value, list | tuple):
            return value
        return [_gathered(item) for item in value]

    @field_validator("on_bad_edit", mode="before")
    @classmethod
    def _action_alone(cls, value: Any) -> Any:
        """A word alone is the action."""
        return {"action": value} if isinstance(value, str) else value

    @field_validator("checkpoints")
    @classmethod
    def _from_zero_up(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(n < 0 for n in value):
            raise ValueError("checkpoints can't be negative")
        return tuple(sorted({0, *value}))

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        last = self.checkpoints[-1]
        if last == 0:
            raise ValueError("there is no checkpoint after an edit")
        if self.edits.count is not None and self.edits.count < last:
            raise ValueError(f"checkpoint {last} needs {last} edits; edits.count is {self.edits.count}")
        for editor in self.editors:
            for n in self.checkpoints[:-1]:
                if n % editor.batch_size:
                    raise ValueError(
                        f"checkpoint {n} falls inside a batch: {editor.name} makes "
                        f"{editor.batch_size} edits at once"
                    )
        for what, values in (("order_seeds", self.order_seeds), ("models", self.models)):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} names something twice")
        return self

    @property
    def n_edits(self) -> int:
        """How many edits each trajectory makes: up to the last checkpoint."""
        return self.checkpoints[-1]

    def monitors_due(self, batch_size: int) -> list[int]:
        """After how many edits alarms are read, where so many are made together."""
        made = (min(n + batch_size, self.n_edits) for n in range(0, self.n_edits, batch_size))
        return due_edit_counts(made, self.alarms.every)

    @property
    def content_hash(self) -> str:
        """A hash of everything the study says that decides its results."""
        return hash_json(self.model_dump(mode="json", exclude={"memory"}))


def _gathered(suite: Any) -> Any:
    if not isinstance(suite, dict) or "name" not in suite or "options" in suite:
        return suite
    return {"name": suite["name"], "options": {key: suite[key] for key in suite if key != "name"}}
