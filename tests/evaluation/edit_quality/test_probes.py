"""The probes of an edit."""

from __future__ import annotations

from sequela.edits import Edit, Probe
from sequela.evaluation.edit_quality.probes import UNRELATED, EditQualitySettings, probes_of

EDIT = Edit(
    id="7",
    subject="Mo",
    prompt="{} lives in",
    target_new="Rome",
    target_true="Oslo",
    paraphrases=("The home of Mo is",),
    neighborhood=(Probe(prompt="Bo lives in", answer="Oslo"), Probe(prompt="Jo lives in")),
    portability=(Probe(prompt="Mo lives in the country of", answer="Italy"),),
)


def asked(edit: Edit = EDIT, **settings: object) -> list[tuple[str, str, str | None, str | None]]:
    probes = probes_of(edit, EditQualitySettings.model_validate(settings))
    return [(one.metric, one.prompt, one.expected, one.rival) for one in probes]


def test_all_probes_of_an_edit_are_asked() -> None:
    (prefixed,) = (prompt for metric, prompt, _, _ in asked() if metric == "prefix_robustness")
    assert asked() == [
        ("efficacy", "Mo lives in", "Rome", "Oslo"),
        ("prefix_robustness", prefixed, "Rome", "Oslo"),
        ("paraphrase", "The home of Mo is", "Rome", "Oslo"),
        ("portability", "Mo lives in the country of", "Italy", None),
        ("attack_robustness", "Mo lives in Oslo. Mo lives in", "Rome", "Oslo"),
        ("neighborhood", "Bo lives in", "Oslo", "Rome"),
        ("neighborhood", "Jo lives in", None, "Rome"),
    ]
    sentence, _, question = prefixed.partition(" Mo lives")
    assert sentence in UNRELATED
    assert question == " in"


def test_limits_leave_the_rest_out() -> None:
    few = asked(prefixes=0, attack=False, max_portability=0, max_neighborhood=1)
    assert [metric for metric, *_ in few] == ["efficacy", "paraphrase", "neighborhood"]
    many = [prompt for metric, prompt, *_ in asked(prefixes=3) if metric == "prefix_robustness"]
    assert len(set(many)) == 3


def test_the_unrelated_sentence_is_determined_by_the_edits_id() -> None:
    assert asked() == asked()
    drawn = {asked(EDIT.model_copy(update={"id": str(i)}))[1][1] for i in range(40)}
    assert len(drawn) > 5


def test_without_an_old_answer_there_is_no_attack() -> None:
    metrics = [metric for metric, *_ in asked(EDIT.model_copy(update={"target_true": None}))]
    assert "attack_robustness" not in metrics
