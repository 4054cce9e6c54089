"""The schema of a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ByteSize,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from sequela.core.hashing import hash_json
from sequela.core.numbers import MAX_LENGTH, MAX_SEED
from sequela.core.paths import user_path
from sequela.core.sizes import check_size
from sequela.core.validation import NumericModel, Seed
from sequela.edited.template_settings import (
    Template,
    TemplateArguments,
    TemplateSettings,
    ThinkEndToken,
)
from sequela.editors import BadEditPolicy
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.evaluation.monitor_rules import MonitorSettings, due_edit_counts
from sequela.statistics import CorpusSpec

SampleNumber = Annotated[int, Field(ge=0, le=MAX_SEED)]
"""The number of a random sample of edits, which decides its edits."""


class _Part(NumericModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EditorChoice(_Part):
    """A method with its settings.

    Args:
        name: The method, optionally with regularizers: `rome`, `memit+rect`.
        batch_size: The number of edits per batch; each batch is applied on top of the previous ones.
        settings: Hyper-parameters that override the method's preset and defaults; those of a regularizer are
            nested under its name.
    """

    name: str
    batch_size: int = Field(default=1, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)


class EditsChoice(_Part):
    """The edits of a study.

    Args:
        source: The name of a source, or a file.
        count: The number of edits, from the first; by default, that of the last checkpoint.
        file: A file in the source's format that replaces the published one.
        samples: The numbers of random samples of `count` edits from the whole source, each of which is
            edited in every order; by default there is none, and the first `count` edits are taken.
    """

    source: str = "builtin"
    count: int | None = Field(default=None, ge=1)
    file: str | None = None
    samples: tuple[SampleNumber, ...] | None = Field(default=None, min_length=1)

    @field_validator("samples")
    @classmethod
    def _different(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError("has duplicate entries")
        return value

    @model_validator(mode="after")
    def _samples_have_a_size(self) -> EditsChoice:
        if self.samples is not None and self.count is None:
            raise ValueError("`samples` needs `count`, the number of edits of each sample")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out samples if there are none, so that earlier runs can go on."""
        content: dict[str, Any] = handler(self)
        return {key: value for key, value in content.items() if key != "samples" or value is not None}

    @property
    def path(self) -> Path | None:
        """The file, with `~` expanded to the user's home folder."""
        return user_path(self.file) if self.file else None


class SuiteChoice(_Part):
    """A suite with its options.

    Args:
        name: The suite.
        options: The options, such as `limit`; in a study file, they are on the same level as the name.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Study(_Part):
    """An experiment: models x editors x samples and orders of edits, measured at checkpoints.

    Args:
        name: The name of the study, and by default of its folder.
        models: Hub ids, folders, GGUF files or aliases.
        editors: The methods.
        edits: The edits.
        order_seeds: The shuffle seeds. Each gives a trajectory with the same edits in another order.
        checkpoints: The numbers of edits after which everything is measured. The unedited model (0) is always
            included.
        suites: The suites that are run in addition to edit quality.
        edit_template: The template in which editors get the edits: `none` for plain prompts, `chat` for user
            turns in the model's chat template (after any sampled contexts).
        edit_template_args: The arguments of the chat template in which editors get the edits, such as
            `enable_thinking: false`.
        evaluation_template: The template of all evaluation prompts: `none` or `chat`.
        evaluation_template_args: The arguments of the chat template of evaluation prompts.
        think_end_token: The text that ends the models' thinking, such as `</think>`; by default that which a
            model's chat template mentions, if it mentions one. It needs one of the two chat templates, and
            counts in these only: with plain evaluation prompts, answers have no thoughts that it could end.
        max_thinking_tokens: The maximum number of tokens of thinking, in addition to those of an answer; by
            default 1024, or half of a model's context if that is less. It needs `evaluation_template: chat`.
        edit_quality: The settings of the edit-quality measurement.
        statistics: The text for key statistics.
        alarms: The intervals and rules for measuring the model's health between checkpoints.
        on_bad_edit: The action for an edit that changes weights too much: `report`, `skip` or `stop`.
        seed: The seed of everything that editors sample, such as contexts.
        device: The device to run on; by default the best available.
        device_map: The places of models that are larger than one device's memory, instead of `device`:
            `auto`, `disk`, or a table by module. It does not affect results beyond the order of summation.
        dtype: The dtype of the weights; `auto` is bfloat16 where the device computes it natively.
        engine: The engine that runs requests: `torch`, `vllm` if installed, or one of another package.
        memory: The memory limit of the process, such as `4GiB`; by default engines use what is fastest. It
            does not affect results.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    models: tuple[str, ...] = Field(min_length=1)
    editors: tuple[EditorChoice, ...] = Field(min_length=1)
    edits: EditsChoice = EditsChoice()
    order_seeds: tuple[Seed, ...] = Field(default=(0,), min_length=1)
    checkpoints: tuple[int, ...] = Field(default=(0, 1, 5, 10), min_length=1)
    suites: tuple[SuiteChoice, ...] = (SuiteChoice(name="builtin"), SuiteChoice(name="perplexity"))
    edit_template: Template = "none"
    edit_template_args: TemplateArguments = Field(default_factory=dict)
    evaluation_template: Template = "none"
    evaluation_template_args: TemplateArguments = Field(default_factory=dict)
    think_end_token: ThinkEndToken | None = None
    max_thinking_tokens: int | None = Field(default=None, ge=1, le=MAX_LENGTH)
    edit_quality: EditQualitySettings = EditQualitySettings()
    statistics: CorpusSpec = CorpusSpec()
    alarms: MonitorSettings = MonitorSettings()
    on_bad_edit: BadEditPolicy = BadEditPolicy()
    seed: Seed = 0
    device: str | None = None
    device_map: str | dict[str, str | int] | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    engine: str = "torch"
    memory: ByteSize | None = None

    @field_validator("editors", "suites", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        """Converts bare names to names with default settings."""
        if not isinstance(value, list | tuple):
            return value
        return [{"name": item} if isinstance(item, str) else item for item in value]

    @field_validator("suites", mode="before")
    @classmethod
    def _options_beside_the_name(cls, value: Any) -> Any:
        """Collects a suite's options that are on the same level as its name."""
        if not isinstance(value, list | tuple):
            return value
        return [_gathered(item) for item in value]

    @field_validator("on_bad_edit", mode="before")
    @classmethod
    def _action_alone(cls, value: Any) -> Any:
        """Converts a bare word to a policy with this action."""
        return {"action": value} if isinstance(value, str) else value

    @field_validator("memory", mode="wrap")
    @classmethod
    def _finite_size(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            size = read(value)
            return size if size is None else ByteSize(check_size(size))
        except OverflowError as error:  # a size of several hundred digits
            raise ValueError("the size is too large") from error

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
            needs = f"needs {last} edits; edits.count is {self.edits.count}"
            raise ValueError(f"{self.name_of_checkpoint(last)} {needs}{self._how_to_set(self.edits.count)}")
        for editor in self.editors:
            for n in self.checkpoints[:-1]:
                if n % editor.batch_size:
                    raise ValueError(
                        f"{self.name_of_checkpoint(n)} falls inside a batch: {editor.name} applies "
                        f"{editor.batch_size} edits at once{self._how_to_set(editor.batch_size)}"
                    )
        for key, values in (("order_seeds", self.order_seeds), ("models", self.models)):
            if len(set(values)) != len(values):
                raise ValueError(f"{key} has duplicate entries")
        for name in ("edit_template", "evaluation_template"):
            if getattr(self, name) == "none" and getattr(self, f"{name}_args"):
                raise ValueError(f"{name}_args needs {name}: chat")
        if self.think_end_token and "chat" not in (self.edit_template, self.evaluation_template):
            raise ValueError("think_end_token needs edit_template: chat or evaluation_template: chat")
        if self.max_thinking_tokens is not None and self.evaluation_template == "none":
            raise ValueError("max_thinking_tokens needs evaluation_template: chat")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out the fields of thinking models with their defaults, so that earlier runs can go on."""
        content: dict[str, Any] = handler(self)
        unused: dict[str, Any] = {
            "edit_template_args": {},
            "evaluation_template_args": {},
            "think_end_token": None,
            "max_thinking_tokens": None,
        }
        return {key: value for key, value in content.items() if key not in unused or value != unused[key]}

    @property
    def editing_template(self) -> TemplateSettings:
        """The template in which editors get the edits."""
        return self._template_settings(self.edit_template, self.edit_template_args)

    @property
    def asking_template(self) -> TemplateSettings:
        """The template of evaluation prompts."""
        return self._template_settings(self.evaluation_template, self.evaluation_template_args)

    def _template_settings(self, template: Template, arguments: TemplateArguments) -> TemplateSettings:
        if template == "none":
            return TemplateSettings()
        return TemplateSettings(
            template=template,
            chat_template_args=arguments,
            think_end_token=self.think_end_token,
            max_thinking_tokens=self.max_thinking_tokens,
        )

    def name_of_checkpoint(self, n_edits: int) -> str:
        """Returns a checkpoint as messages name it: as a default, if the study sets none."""
        if "checkpoints" in self.model_fields_set:
            return f"checkpoint {n_edits}"
        return f"checkpoint {n_edits}, one of the default `checkpoints: {list(self.checkpoints)}`,"

    def _how_to_set(self, fitting: int) -> str:
        """Returns how to set checkpoints, with one that fits; empty if the study sets them."""
        return (
            "" if "checkpoints" in self.model_fields_set else f"; set `checkpoints`, such as [0, {fitting}]"
        )

    @property
    def samples(self) -> tuple[int | None, ...]:
        """The samples of edits; None alone if the study takes the first edits of its source."""
        return self.edits.samples or (None,)

    @property
    def orders(self) -> tuple[tuple[int | None, int], ...]:
        """The sample and the shuffle seed of each trajectory of a method, by sample and then by seed."""
        return tuple((sample, seed) for sample in self.samples for seed in self.order_seeds)

    @property
    def n_edits(self) -> int:
        """The number of edits of each trajectory: that of the last checkpoint."""
        return self.checkpoints[-1]

    def monitors_due(self, batch_size: int) -> list[int]:
        """Returns the numbers of edits after which health is measured, for a batch size."""
        counts = (min(n + batch_size, self.n_edits) for n in range(0, self.n_edits, batch_size))
        return due_edit_counts(counts, self.alarms.every)

    @property
    def content_hash(self) -> str:
        """A hash of all fields that affect the results."""
        return hash_json(self.model_dump(mode="json", exclude={"memory"}))


def _gathered(suite: Any) -> Any:
    if not isinstance(suite, dict) or "name" not in suite or "options" in suite:
        return suite
    return {"name": suite["name"], "options": {key: suite[key] for key in suite if key != "name"}}
