"""Records of measurements, edits and costs, and the store for them."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.results.answer_distribution import AnswerDistribution, most_frequent
    from sequela.results.cost_record import CostRecord
    from sequela.results.edit_record import EditRecord, EditReport
    from sequela.results.environment import Environment, collect_environment
    from sequela.results.evaluation_key import EvaluationKey
    from sequela.results.item_record import ItemRecord
    from sequela.results.manifest import Manifest, Plugin, Status, read_manifest, write_manifest
    from sequela.results.measurement import Labels, Measurement
    from sequela.results.metrics import MetricInfo, Unit, metric_info
    from sequela.results.names import (
        ALARMS,
        EDIT_QUALITY,
        RETENTION_AT_N,
        SUCCESS_AT_EDIT,
        UNEDITED,
        method_label,
    )
    from sequela.results.protocols import ProtocolInfo, protocol_info
    from sequela.results.query import Query
    from sequela.results.section import Section
    from sequela.results.standard_error import mean_and_stderr
    from sequela.results.store import ResultsStore, open_store
    from sequela.results.suite_info import Quantity, SuiteInfo, Suites, TaskInfo
    from sequela.results.task_result import TaskResult, invalid_items_note, item_counts, result_from_items

__all__ = [
    "ALARMS",
    "EDIT_QUALITY",
    "RETENTION_AT_N",
    "SUCCESS_AT_EDIT",
    "UNEDITED",
    "AnswerDistribution",
    "CostRecord",
    "EditRecord",
    "EditReport",
    "Environment",
    "EvaluationKey",
    "ItemRecord",
    "Labels",
    "Manifest",
    "Measurement",
    "MetricInfo",
    "Plugin",
    "ProtocolInfo",
    "Quantity",
    "Query",
    "ResultsStore",
    "Section",
    "Status",
    "SuiteInfo",
    "Suites",
    "TaskInfo",
    "TaskResult",
    "Unit",
    "collect_environment",
    "invalid_items_note",
    "item_counts",
    "mean_and_stderr",
    "method_label",
    "metric_info",
    "most_frequent",
    "open_store",
    "protocol_info",
    "read_manifest",
    "result_from_items",
    "write_manifest",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.results.answer_distribution": (
                "AnswerDistribution",
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
            "sequela.results.item_record": ("ItemRecord",),
            "sequela.results.measurement": (
                "Labels",
                "Measurement",
            ),
            "sequela.results.metrics": (
                "MetricInfo",
                "Unit",
                "metric_info",
            ),
            "sequela.results.names": (
                "ALARMS",
                "EDIT_QUALITY",
                "RETENTION_AT_N",
                "SUCCESS_AT_EDIT",
                "UNEDITED",
                "method_label",
            ),
            "sequela.results.protocols": (
                "ProtocolInfo",
                "protocol_info",
            ),
            "sequela.results.query": ("Query",),
            "sequela.results.section": ("Section",),
            "sequela.results.standard_error": ("mean_and_stderr",),
            "sequela.results.store": (
                "ResultsStore",
                "open_store",
            ),
            "sequela.results.suite_info": (
                "Quantity",
                "SuiteInfo",
                "Suites",
                "TaskInfo",
            ),
            "sequela.results.task_result": (
                "TaskResult",
                "item_counts",
                "result_from_items",
                "invalid_items_note",
            ),
        },
    )
