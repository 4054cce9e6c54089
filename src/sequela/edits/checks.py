"""Checks of an edit set: what limits its scores whatever the model and the method.

An edit that another edit contradicts can't be retained, a neighbor that another edit changes can't stay the
same, and an answer that is longer than the generated text can't be given. None of this is a property of the
method, so it is counted before anything runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sequela.edits.edit import BLANK, Edit
from sequela.edits.finding import Case, Finding, FindingKind, finding
from sequela.edits.questions import Questions, question_key, same_answer
from sequela.edits.text_checks import (
    AskedPrompt,
    Tokenizer,
    asked_prompts,
    check_boundaries,
    check_context,
    check_lengths,
    check_special_tokens,
)


def check_edits(
    edits: Sequence[Edit],
    tokenizer: Tokenizer | None = None,
    *,
    context_length: int | None = None,
    max_new_tokens: int = 16,
    max_neighborhood: int | None = None,
    max_portability: int | None = None,
) -> tuple[Finding, ...]:
    """Returns what an edit set says about itself: contradictions, repeats, and texts that cause trouble.

    Args:
        edits: The edits in order.
        tokenizer: A model's tokenizer; without one, lengths are not checked, and special tokens are searched
            by the form that they have in common tokenizers.
        context_length: The number of tokens of the model's context; None if it isn't known.
        max_new_tokens: The number of tokens that free decoding generates.
        max_neighborhood: The number of neighborhood prompts per edit that are measured; all if None.
        max_portability: The number of portability questions per edit that are measured; all if None.

    Returns:
        The findings with at least one case, in the order of `FindingKind`.
    """
    questions = Questions(edits)
    prompts = [one for edit in edits for one in asked_prompts(edit, max_neighborhood, max_portability)]
    findings = [
        *_check_questions(questions),
        _check_unchanged(edits),
        _check_shared_keys(questions),
        _check_blanks(edits),
        _check_own_paraphrases(edits),
        _check_paraphrases(questions),
        *_check_neighbors(questions, prompts),
        check_special_tokens(edits, prompts, tokenizer),
        *check_boundaries(prompts),
    ]
    if tokenizer is not None:
        findings += check_lengths(edits, prompts, tokenizer, max_new_tokens)
        if context_length is not None:
            findings += check_context(prompts, tokenizer, context_length)
    order = list(FindingKind)
    return tuple(sorted((one for one in findings if one is not None), key=lambda one: order.index(one.kind)))


def shares_key(edits: Sequence[Edit]) -> dict[str, tuple[str, ...]]:
    """Returns the ids of the other edits with the same text up to the subject's end, for each edit with some.

    At the subject's last token a model has seen the same text, so the keys of such edits are the same vector.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for edit in edits:
        if edit.subject is not None:
            head, _, _ = edit.prompt.rpartition(BLANK)
            groups[head.replace(BLANK, edit.subject) + edit.subject].append(edit.id)
    return {
        one: tuple(other for other in members if other != one)
        for members in groups.values()
        if len(members) > 1
        for one in members
    }


def _check_questions(questions: Questions) -> Iterator[Finding | None]:
    """Yields the questions with several new answers, and the edits that repeat an earlier one."""
    contradictions, repeats = list[Case](), list[Case]()
    for same in questions.repeated():
        answers: list[Edit] = []
        for edit in same:
            if any(same_answer(edit.target_new, known.target_new) for known in answers):
                repeats.append(Case((edit.id,), f"{edit.id}: {edit.question} → {edit.target_new}"))
            else:
                answers.append(edit)
        if len(answers) > 1:
            in_order = ", then ".join(f"{edit.target_new} ({edit.id})" for edit in same)
            contradictions.append(Case(tuple(edit.id for edit in same), f"{same[0].question} → {in_order}"))
    yield finding(
        FindingKind.CONTRADICTION,
        "Questions with several new answers",
        contradictions,
        questions.count,
        "A later edit supersedes the earlier ones, which retention does not count.",
    )
    yield finding(
        FindingKind.REPEAT,
        "Edits that repeat an earlier one: the same question with the same new answer",
        repeats,
        len(questions.edits),
        "Retention counts only the last one.",
    )


def _check_unchanged(edits: Sequence[Edit]) -> Finding | None:
    """Returns the edits whose new answer is the old one."""
    return finding(
        FindingKind.UNCHANGED,
        "Edits whose new answer is the old one",
        (
            Case((edit.id,), f"{edit.id}: {edit.question} → {edit.target_new}")
            for edit in edits
            if is_unchanged(edit)
        ),
        len(edits),
        "Neither answer can be more probable than the other, so they have no value of `probability`.",
    )


def is_unchanged(edit: Edit) -> bool:
    """Returns whether an edit's new answer is its old one."""
    return edit.target_true is not None and same_answer(edit.target_new, edit.target_true)


def _check_shared_keys(questions: Questions) -> Finding | None:
    """Returns the edits whose key is also another's."""
    edits = questions.edits
    sharing = shares_key(edits)
    by_id = {edit.id: edit for edit in edits}
    asks_otherwise = sum(
        not {other.id for _, other in questions.same_question(by_id[one])}.issuperset(others)
        for one, others in sharing.items()
    )
    return finding(
        FindingKind.SHARED_KEY,
        "Edits with the same text up to the subject's end as another edit",
        (
            Case((one,), f"{one} and {', '.join(others)}: {by_id[one].question}")
            for one, others in sharing.items()
        ),
        len(edits),
        "Locate-then-edit methods write both at the same key. Those that share it with an edit that asks "
        f"something else: {asks_otherwise:,}.",
    )


def _check_blanks(edits: Sequence[Edit]) -> Finding | None:
    """Returns the edits whose prompt has several places for the subject."""
    return finding(
        FindingKind.SEVERAL_BLANKS,
        "Edits with several {} in the prompt",
        (Case((edit.id,), f"{edit.id}: {edit.prompt}") for edit in edits if edit.prompt.count(BLANK) > 1),
        len(edits),
        "The subject is filled in at each; locate-then-edit methods write at the last.",
    )


def _check_own_paraphrases(edits: Sequence[Edit]) -> Finding | None:
    """Returns the paraphrases that are the question of their own edit."""
    return finding(
        FindingKind.OWN_PARAPHRASE,
        "Paraphrases that are the question of their own edit",
        (
            Case((edit.id,), f"{edit.id}: {paraphrase}")
            for edit in edits
            for paraphrase in edit.paraphrases
            if question_key(paraphrase) == question_key(edit.question)
        ),
        sum(len(edit.paraphrases) for edit in edits),
        "They don't show whether the edit generalizes to other words.",
    )


def _check_paraphrases(questions: Questions) -> Finding | None:
    """Returns the paraphrases that are the question of another edit with another new answer."""
    cases = [
        Case(
            (edit.id, other.id),
            f"{edit.id}: {paraphrase} → {edit.target_new}; {other.id}: {other.target_new}",
        )
        for edit in questions.edits
        for paraphrase in edit.paraphrases
        for _, other in questions.asking(paraphrase)
        if other.id != edit.id and not same_answer(other.target_new, edit.target_new)
    ]
    return finding(
        FindingKind.EDITED_PARAPHRASE,
        "Paraphrases that are the question of another edit with another new answer",
        cases,
        sum(len(edit.paraphrases) for edit in questions.edits),
        "One model can't give both answers.",
    )


def _check_neighbors(questions: Questions, prompts: Sequence[AskedPrompt]) -> Iterator[Finding | None]:
    """Yields the neighborhood prompts that are the question of an edit, in its words and in others."""
    relation_of = {edit.id: edit.relation for edit in questions.edits}
    neighbors = [one for one in prompts if one.field == "neighborhood"]
    asked = [(one, questions.asking(one.prompt)) for one in neighbors]
    reworded = [
        (one, questions.rewording(one.prompt, relation_of[one.edit_id])) for one, edits in asked if not edits
    ]
    yield finding(
        FindingKind.EDITED_NEIGHBOR,
        "Neighborhood prompts that are the question of an edit",
        _neighbor_cases(asked),
        len(neighbors),
        "That edit changes the answer on purpose; while it is in force, `neighborhood` leaves them out.",
    )
    yield finding(
        FindingKind.REWORDED_NEIGHBOR,
        "Neighborhood prompts that ask the question of an edit in other words (its paraphrase, or the same "
        "subject and relation)",
        _neighbor_cases(reworded),
        len(neighbors),
        "That edit changes the answer on purpose; while it is in force, `neighborhood` leaves them out.",
    )


def _neighbor_cases(asked: Sequence[tuple[AskedPrompt, Sequence[tuple[int, Edit]]]]) -> Iterator[Case]:
    for one, edits in asked:
        if edits:
            _, edit = edits[-1]
            yield Case((one.edit_id,), f"{one.edit_id}: {one.prompt} → {edit.target_new} ({edit.id})")
