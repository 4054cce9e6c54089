"""Records of what was measured, and the store that keeps them."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.results.answer_distribution import AnswerForm, most_frequent
    from sequela.results.cost_record import CostRecord
    from sequela.results.edit_record import EditRecord, EditReport
    from sequela.results.environment import Environment, collect_environment
    from sequela.results.evaluation_key import EvaluationKey
    from sequela.results.manifest import Manifest, Plugin, Status, read_manifest, write_manifest
    from sequela.results.measurement import ItemRecord, Measurement
    from sequela.results.names import ALARMS, EDIT_QUALITY, EFFECTIVE_EDITS, HIT_RATE, UNEDITED, method_label
    from sequela.results.query import Query
    from sequela.results.section import Section, SuiteInfo, Suites, TaskInfo
    from sequela.results.standard_error import mean_and_stderr
    from sequela.results.store import ResultsStore, open_store
    from sequela.results.task_result import Finding, counts_of, finding_from_items, trouble_of

__all__ = [
    "ALARMS",
    "EDIT_QUALITY",
    "EFFECTIVE_EDITS",
    "HIT_RATE",
    "UNEDITED",
    "AnswerForm",
    "CostRecord",
    "EditRecord",
    "EditReport",
    "Environment",
    "EvaluationKey",
    "Finding",
    "ItemRecord",
    "Manifest",
    "Measurement",
    "Plugin",
    "Query",
    "ResultsStore",
    "Section",
    "Status",
    "SuiteInfo",
    "Suites",
    "TaskInfo",
    "collect_environment",
    "counts_of",
    "finding_from_items",
    "mean_and_stderr",
    "method_label",
    "most_frequent",
    "open_store",
    "read_manifest",
    "trouble_of",
    "write_manifest",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "sequela.results.answer_distribution": (
            "AnswerForm",
            "most_frequent",
        ),
        "sequela.results.cost_record": ("CostRecord",),
        "sequela.results.edit_record": (
            "EditRecord",
            "EditReport",
        ),
        "sequela.results.environment": (
            "Environment",
            "collect_environment",
        ),
        "sequela.results.evaluation_key": ("EvaluationKey",),
        "sequela.results.manifest": (
            "Manifest",
            "Plugin",
            "Status",
            "read_manifest",
            "write_manifest",
        ),
        "sequela.results.measurement": (
            "ItemRecord",
            "Measurement",
        ),
        "sequela.results.names": (
            "ALARMS",
            "EDIT_QUALITY",
            "EFFECTIVE_EDITS",
            "HIT_RATE",
            "UNEDITED",
            "method_label",
        ),
        "sequela.results.query": ("Query",),
        "sequela.results.section": (
            "Section",
            "SuiteInfo",
            "Suites",
            "TaskInfo",
        ),
        "sequela.results.standard_error": ("mean_and_stderr",),
        "sequela.results.store": (
            "ResultsStore",
            "open_store",
        ),
        "sequela.results.task_result": (
            "Finding",
            "counts_of",
            "finding_from_items",
            "trouble_of",
        ),
    },
)
