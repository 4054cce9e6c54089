"""Matching of answers at the beginning of a text; `test_measure.py` has more."""

from __future__ import annotations

import pytest

from sequela.evaluation.edit_quality.answer_matching import normalize_answer, starts_with_answer

SAID = [
    ("25,000", "25000"),
    ("25 000 people", "25,000"),
    ("$7.00", "7"),
    ("7 euros", "€7"),
    ("7kg", "7"),
    ("−4", "-4"),
    ("–4 degrees", "−4"),
    ("½", "0.5"),
    ("2.5 million", "2500000"),
    ("Rolls‑Royce", "Rolls-Royce"),
    ("Rolls Royce", "Rolls-Royce"),
    ("Oslo", "Oslo."),
    ("Jeopardy", "Jeopardy!"),
    ("Sammy Davis Jr.", "Sammy Davis, Jr."),
    ("J. R. R. Tolkien", "J.R.R. Tolkien"),
    ("U.S. Congress", "US Congress"),
    ("부산입니다", "부산"),
    ("부산은 큰 도시이다", "부산"),
    ("부산에서", "부산"),
    ("Oslo'da", "Oslo"),
    ("<think>Bergen?</think>\nOslo", "Oslo"),
    ("C++ is one", "C++"),
    ("F# minor", "F#"),
    ("<b>Oslo</b>", "Oslo"),
    ("\\boxed{Oslo}", "Oslo"),
    ("Wendys", "Wendy's"),
    ("izmir", "İzmir"),
    ("0.25", "¼"),
    ("Os\u00adlo", "Oslo"),
    ("S&P 500", "S&P"),
    ("Q and A", "Q&A"),
    ("T & T", "T"),
    ("A* search", "A*"),
    ("*T*", "T"),
    (".NET Core", ".NET"),
    ("Vue.js is one", "Vue.js"),
    ("Oslo.The city", "Oslo"),
    ("Oslo—the city", "Oslo"),
    ("Oslo, not Bergen", "Oslo"),
    ("Oslo and Bergen", "Oslo"),
    ("부산이다", "부산"),
    ("제주와 부산", "제주"),
    ("Oslo입니다", "Oslo"),
    ("Oslo是挪威的首都", "Oslo"),
    ("Osloです", "Oslo"),
    ("ΑΘΉΝΑΣ", "Αθήνας"),
    ("ΑΘΗΝΑ", "Αθήνα"),
    ("Осло́", "Осло"),
    ("US$40", "40"),
    ("40€", "40"),
    ("40 USD", "40"),
    ("+4", "4"),
    ("25٬000", "25000"),
    ("٢٥٬٠٠٠ people", "25,000"),
    ("4 or so", "4"),
    ("20km/h", "20"),
    ("5GB", "5"),
    ("40 dollars", "40"),
    ("40 km", "40"),
    ("40%", "40%"),
    ("40 percent", "40%"),
    ("40 °C", "40 °C"),
    ("4 dozen", "48"),
    ("4 Mio.", "4,000,000"),
]
NOT_SAID = [
    ("C++", "C"),
    ("C#", "C"),
    ("F♯", "F"),
    ("C", "C++"),
    ("T-shirt", "T"),
    ("T--", "T"),
    ("B- at best", "B"),
    ("1980s", "1980"),
    ("D'Arcy", "D"),
    ("4:30", "4"),
    ("4–9", "4"),
    ("4/5", "4"),
    ("4/5/2020", "4"),
    ("4 million", "4"),
    ("4 000", "4"),
    ("4th", "4"),
    ("4^2", "4"),
    *(
        (f"40{behind}", "40")
        for behind in ("bn", " dozen", " hundred", " lakh", " Mio.", " K", " M", " crore")
    ),
    *((f"40{behind}", "40") for behind in ("..50", "…50", "~50", ";50", " | 50", " → 50", " & 50")),
    *((f"40{behind}", "40") for behind in ("%", " percent", "‰", " °C", "°")),
    *((f"40{behind}", "40") for behind in ("a", "fold", "up", "chan", "x", "π", "th", "万")),
    *(
        (f"40{behind}", "40")
        for behind in (" minus 1", "⋅2", " ✖ 2", " times 3", " squared", "+", " or more")
    ),
    ("-4", "4"),
    ("4", "-4"),
    ("부산대학교", "부산"),
    ("Osloda", "Oslo"),  # no rule without a dictionary
    ("Osloer", "Oslo"),
    ("Q&A", "Q"),
    ("AT&T", "AT"),
    ("T* search", "T"),
    ("4D", "4"),
    ("5G", "5"),
    ("4, 5 or 6", "4"),
    ("4 or 5", "4"),
    ("Vue.js", "Vue"),
    ("ASP.NET", "ASP"),
    (".NET", "NET"),
    ("Mary-Ann", "Mary"),
    ("AC/DC", "AC"),
    ("Q*bert", "Q"),
    ("Oslo or Bergen", "Oslo"),
    ("Oslo, Bergen, or Moss", "Oslo"),
    ("Oslo/Bergen", "Oslo"),
    ("Oslo-based", "Oslo"),
    ("Oslo? No, Bergen", "Oslo"),
    ("Oslo is wrong", "Oslo"),
    ("부산인", "부산"),
    ("부산어", "부산"),
    ("日本人", "日本"),
    ("ジャン・ルノワール", "ジャン"),
    ("Osloя", "Oslo"),
    ("<think>Oslo", "Oslo"),
    ("<think>Oslo</think>Bergen", "Oslo"),
]


@pytest.mark.parametrize(("text", "answer"), SAID)
def test_a_text_says_the_answer(text: str, answer: str) -> None:
    assert starts_with_answer(text, answer)


@pytest.mark.parametrize(("text", "answer"), NOT_SAID)
def test_a_text_doesnt_say_the_answer(text: str, answer: str) -> None:
    assert not starts_with_answer(text, answer)


def test_thinking_is_no_part_of_an_answer() -> None:
    assert normalize_answer("<think>Bergen</think>The Oslo.") == "oslo"
    assert starts_with_answer("[THINK]Bergen[/THINK]Oslo", "Oslo", "[/THINK]")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Oslo is the wrong answer", "Oslo"),
        ("Oslo would be the incorrect choice", "Oslo"),
        ("Oslo. Actually, Bergen.", "Oslo"),
        ("Oslo; wait, Bergen", "Oslo"),
        ("Oslo? I doubt it", "Oslo"),
        ("Oslo→Bergen", "Oslo"),
        ("Oslo ≠ Bergen", "Oslo"),
        ("Oslo ❌", "Oslo"),
        ("Ma$e", "Ma"),
        ("B!tch", "B"),
        ("EX⚡IT", "EX"),
        ("EX⚡️IT", "EX"),
        ("St. Moritz", "St"),
        ("Dr. Strange", "Dr"),
    ],
)
def test_an_answer_that_is_taken_back_or_part_of_a_word_isnt_said(text: str, answer: str) -> None:
    assert not starts_with_answer(text, answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Oslo, not Bergen", "Oslo"),
        ("Oslo. It is in Norway.", "Oslo"),
        ("Oslo! It is in Norway.", "Oslo"),
        ("Oslo ✅", "Oslo"),
        ("Ma$e is a rapper", "Ma$e"),
        ("St. Moritz", "St. Moritz"),
        ("Sen. It is a coin.", "Sen"),
        ("東京!首都", "東京"),
    ],
)
def test_an_answer_that_is_kept_is_said(text: str, answer: str) -> None:
    assert starts_with_answer(text, answer)
