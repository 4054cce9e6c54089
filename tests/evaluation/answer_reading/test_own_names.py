"""Names that are pronouns or other words of every sentence."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.names import name_within


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The Who, a band from London", "The Who"),
        ("It was the Who", "The Who"),
        ("The Who were a band", "The Who"),
        ("The The, a group", "The The"),
        ("IT", "IT"),
        ("IT stands for information technology", "IT"),
        ("the WHO, a body of the UN", "WHO"),
        ("It, a novel by Stephen King", "It"),
        ("It (film)", "It"),
        ("It by Stephen King", "It"),
        ("Them, a film of 1954", "Them"),
        ("Them!", "Them!"),
        ("Us, by Jordan Peele", "Us"),
        ("Us is a film", "Us"),
        ("The film is Us.", "Us"),
        ("You, a series", "You"),
        ("Yes, an English band", "Yes"),
        ("M, a film of 1931", "M"),
        ("Answer: It", "It"),
        ("us", "Us"),
        ("the who", "The Who"),
        ("Who", "The Who"),
        ("Guess Who", "The Guess Who"),
        ("the guess who", "The Guess Who"),
        ("Where", "Where"),
        ("It?", "It"),
    ],
)
def test_a_name_of_common_words_is_said(text: str, name: str) -> None:
    assert name_within(text, [name])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Who knows", "The Who"),
        ("the who and the what", "The Who"),
        ("It is a film", "It"),
        ("It is a film", "IT"),
        ("It's", "It"),
        ("It, I think", "It"),
        ("Answer: It is a film", "It"),
        ("let us go", "Us"),
        ("You are right", "You"),
        ("You, the reader, are right", "You"),
        ("Yes, the answer is Oslo", "Yes"),
        ("Yes, it was", "Yes"),
        ("This is a song", "This"),
        ("One of them", "One"),
        ("Her husband", "Her"),
        ("not Us", "Us"),
        ("the US", "Us"),
        ("US", "Us"),
        ("Guess who", "The Guess Who"),
        ("who", "The Who"),
        ("Where?", "Where"),
        ("Why?", "Why"),
        ("Them or Us", "Us"),
        ("The Who or The Kinks", "The Who"),
    ],
)
def test_common_words_are_no_name(text: str, name: str) -> None:
    assert not name_within(text, [name])
