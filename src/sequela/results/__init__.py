"""Where measurements are kept and asked for."""

from sequela.results.answer_form import AnswerForm, most_frequent
from sequela.results.collapse import PERPLEXITY_FACTOR, Collapse, Collapses
from sequela.results.cost import CostRecord
from sequela.results.degeneracy import Flag, JudgedMeasurement, judged
from sequela.results.edit_record import EditRecord, EditReport
from sequela.results.environment import Environment, collect_environment
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.expression import Unexpressed, hardly_expressed
from sequela.results.finding import Finding, counts_of, finding_from_items, mean_and_stderr, trouble_of
from sequela.results.manifest import Manifest, Status, read_manifest, write_manifest
from sequela.results.measurement import ItemRecord, Measurement
from sequela.results.names import ALARMS, EDIT_QUALITY, EFFECTIVE_EDITS, HIT_RATE, UNEDITED, method_label
from sequela.results.query import Query
from sequela.results.section import Section, SuiteInfo, Suites, TaskInfo
from sequela.results.store import ResultsStore, open_store

__all__ = [
    "ALARMS",
    "EDIT_QUALITY",
    "EFFECTIVE_EDITS",
    "HIT_RATE",
    "PERPLEXITY_FACTOR",
    "UNEDITED",
    "AnswerForm",
    "Collapse",
    "Collapses",
    "CostRecord",
    "EditRecord",
    "EditReport",
    "Environment",
    "EvaluationKey",
    "Finding",
    "Flag",
    "ItemRecord",
    "JudgedMeasurement",
    "Manifest",
    "Measurement",
    "Query",
    "ResultsStore",
    "Section",
    "Status",
    "SuiteInfo",
    "Suites",
    "TaskInfo",
    "Unexpressed",
    "collect_environment",
    "counts_of",
    "finding_from_items",
    "hardly_expressed",
    "judged",
    "mean_and_stderr",
    "method_label",
    "most_frequent",
    "open_store",
    "read_manifest",
    "trouble_of",
    "write_manifest",
]
