"""The ends of words."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.word_ends import goes_on, has_begun


@pytest.mark.parametrize(
    ("noun", "endings"),
    [
        (
            "부산",
            "은 이 을 과 의 도 에 에서 에서는 에게 까지 만 으로 으로는 이나 처럼 이다 입니다 이에요 이었다",
        ),
        ("제주", "는 가 를 와 의 도 에 에서 로 로는 나 보다 다 입니다 예요 였다 였습니다 라고"),
        ("서울", "로 은 로부터"),
        ("Oslo", "은 는 가 입니다 에서"),
    ],
)
def test_a_korean_noun_ends_before_a_particle(noun: str, endings: str) -> None:
    for ending in endings.split():
        assert not goes_on(noun[-1], ending)
        assert not goes_on(noun[-1], f"{ending} 크다")
        assert not goes_on(noun[-1], f"{ending}.")


@pytest.mark.parametrize(
    ("noun", "rests"),
    [
        ("부산", "인 어 식 사람 고등학교 가 는 로 지사 네 인이다 대학교에서"),
        ("제주", "인 은 을 과 으로 도민 고 네콩"),
        ("Oslo", "인 식"),
    ],
)
def test_a_korean_noun_goes_on_before_other_syllables(noun: str, rests: str) -> None:
    for rest in rests.split():
        assert goes_on(noun[-1], rest)


@pytest.mark.parametrize(
    ("last", "rest"),
    [
        ("o", "-Bergen"),
        ("o", ".js"),
        ("o", "/x"),
        ("o", "_x"),
        ("o", ":x"),
        ("o", "n"),
        ("o", "7"),
        ("1", "a"),
        ("o", "я"),
        ("C", "++"),
        ("C", "#"),
        ("ン", "・ポール"),
        ("マ", "ン"),
        ("マ", "ー"),
        ("本", "人"),
        ("让", "·保罗"),
        ("क", "ा"),
    ],
)
def test_a_word_goes_on(last: str, rest: str) -> None:
    assert goes_on(last, rest)


@pytest.mark.parametrize(
    ("last", "rest"),
    [
        ("o", ""),
        ("o", " x"),
        ("o", "."),
        ("o", ", x"),
        ("o", ",x"),
        ("o", " - x"),
        ("o", "—x"),
        ("o", "--x"),
        ("o", "...x"),
        ("o", "'s"),
        ("o", "是"),
        ("o", "です"),
        ("o", "は"),
        ("o", "هي"),
        ("マ", "は"),
        ("本", "は"),
        ("本", "人口"),
        ("산", "is"),
    ],
)
def test_a_word_ends(last: str, rest: str) -> None:
    assert not goes_on(last, rest)


def test_a_word_has_begun_before_a_part_of_it() -> None:
    for before in ("x", "x-", "x/", "x.", "@", "x_", "C+"):
        assert has_begun(before, "o")
    for before in ("", " ", "x ", "x - ", "(", "は", "_", "...", "x, "):
        assert not has_begun(before, "o")
