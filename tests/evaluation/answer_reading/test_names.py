"""Comparison of names."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.names import (
    begins_with_number,
    name_within,
    number_at_start,
    same_name,
)
from sequela.evaluation.answer_reading.spelling import Spelling, words


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Mary-Ann", "Mary‑Ann"),
        ("J.R.R. Tolkien", "J. R. R. Tolkien"),
        ("U.K.", "UK"),
        ("D’Arcy", "D'Arcy"),
        ("Marks & Spencer", "Marks and Spencer"),
        ("25,000 leagues", "25000 leagues"),
        ("4.0", "4"),
        ("ÉCLAIR", "éclair"),
        ("Sammy Davis, Jr.", "Sammy Davis Jr"),
    ],
)
def test_spellings_of_a_name_have_the_same_words(first: str, second: str) -> None:
    assert words(first) == words(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("C", "C++"), ("C", "C#"), ("3.5", "35"), ("-3", "3"), ("2:30", "2"), ("D'Arcy", "D Arcy")],
)
def test_other_names_have_other_words(first: str, second: str) -> None:
    assert words(first) != words(second)


@pytest.mark.parametrize("name", ["The The", "A", "!!!", "?", "The A", "The Band"])
def test_every_name_is_itself(name: str) -> None:
    assert same_name(name, name)
    assert name_within(name, [name])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("It was Zoë Smith, I think", "Zoe Smith"),
        ("Malmo", "Malmö"),
        ("about 25000 people", "25,000"),
        ("the band is The Who", "The Who"),
        ("The Who", "The Who"),
        ("It", "It"),
        ("not Oslo but Bergen", "Bergen"),
        ("O’Hara", "O'Hara"),
        ("the novel “It”", "It"),
        ("!!!.", "!!!"),
        ('"&"', "&"),
        ("Thorir", "Þórir"),
        ("2.50", "2.5"),
        ("İzmir", "izmir"),
        ("12 people in 1914", "1914"),
        ("about 25٬000 people", "25,000"),
        ("Oslo, not Bergen", "Oslo"),
        ("not only Oslo", "Oslo"),
        ("答えはOsloです", "Oslo"),
        ("부산입니다", "부산"),
        ("ΟΣΛΟ", "Όσλο"),
        ("Mary Ann Evans", "Mary-Ann Evans"),
    ],
)
def test_a_text_says_a_name(text: str, name: str) -> None:
    assert name_within(text, [name])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("nobody knows who did", "The Who"),
        ("It was a song", "It"),
        ("A song", "A"),
        ("I'm not sure", "M"),
        ("who are they", "Them"),
        ("it is not Oslo", "Oslo"),
        ("Oslo or Bergen", "Bergen"),
        ("Oslo or Bergen", "Oslo"),
        ("in 25,000 years", "25"),
        ("3.5 miles", "3"),
        ("Osloer", "Oslo"),
        ("Oslo is wrong", "Oslo"),
        ("Oslo is not the answer", "Oslo"),
        ("Oslo? No, Bergen", "Oslo"),
        ("I don't think it's Oslo", "Oslo"),
        ("It can't be Oslo", "Oslo"),
        ("Oslo-Bergen", "Oslo"),
        ("Oslo–Bergen", "Bergen"),
        ("Oslo/Bergen", "Bergen"),
        ("non-Oslo", "Oslo"),
        ("부산인", "부산"),
        ("", "!!!"),
        ("!!", "!!!"),
    ],
)
def test_a_text_doesnt_say_a_name(text: str, name: str) -> None:
    assert not name_within(text, [name])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-7", "-7"),
        ("minus 7", "-7"),
        ("7 hundred", "700"),
        ("7%", "7%"),
        ("in May 1999", "1999"),
        ("May 7, 1999", "1999"),
        ("7 May 1999", "1999"),
        ("Route 77", "77"),
        ("77 people", "77"),
        ("77 Baker Street", "77"),
    ],
)
def test_a_text_says_a_number(text: str, name: str) -> None:
    assert name_within(text, [name])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("-7", "7"),
        ("−7,000", "7,000"),
        ("7", "-7"),
        ("about -77 degrees", "77"),
        ("7%", "7"),
        ("77 percent", "77"),
        ("7 hundred", "7"),
        ("7 dozen", "7"),
        ("over 77", "77"),
        ("77 times 2", "77"),
    ],
)
def test_a_text_doesnt_say_a_number(text: str, name: str) -> None:
    assert not name_within(text, [name])


def test_a_percentage_is_another_number() -> None:
    assert number_at_start("7%") is None
    assert number_at_start("7 pens") == 7
    assert begins_with_number("7 %", "7%")
    assert begins_with_number("7 percent", "7%")
    assert begins_with_number("7", "7%")
    assert not begins_with_number("7 percent", "7")
    assert not begins_with_number("7°", "7%")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The games were held in Oslo.", "Oslo"),
        ("It was first suggested in Oslo.", "Oslo"),
        ("The treaty was rejected by Oslo", "Oslo"),
        ("They believed in Odin", "Odin"),
        ("It used to be called Oslo", "Oslo"),
        ("Bergen, or Oslo in Latin", "Oslo"),
        ("No, Bergen is a port. It's Oslo.", "Oslo"),
    ],
)
def test_a_verb_of_reporting_with_a_place_reports_no_view(text: str, name: str) -> None:
    assert name_within(text, [name])


@pytest.mark.parametrize(
    "text",
    [
        "It was believed to be Oslo",
        "It used to be Oslo",
        "Oslo. The answer is Bergen.",
        "Oslo was my first guess, but Bergen is right.",
        "The question names Oslo, but the answer is Bergen.",
        "No, Oslo is in Norway. It's Bergen",
    ],
)
def test_a_name_beside_another_answer_is_not_said(text: str) -> None:
    assert not name_within(text, ["Oslo"])


def test_a_text_is_spelled_once_for_all_names(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    spell = Spelling.of

    def counted(text: str, *, accents: bool = True, articles: bool = True) -> Spelling:
        texts.append(text)
        return spell(text, accents=accents, articles=articles)

    monkeypatch.setattr(Spelling, "of", counted)
    text = "not Oslo " * 500
    assert not name_within(text, [f"Oslo {number}" for number in range(50)] + ["Oslo"])
    assert texts.count(text) == 1


def test_the_same_words_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[tuple[int, int]] = []
    says = Spelling.says

    def counted(spelling: Spelling, start: int, end: int) -> bool:
        places.append((start, end))
        return says(spelling, start, end)

    monkeypatch.setattr(Spelling, "says", counted)
    assert not name_within("not Oslo " * 2000, ["Oslo", "The Oslo", "Oslo!"])
    assert len(places) < 100
