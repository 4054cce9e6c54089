"""Words of other languages that take an answer back."""

from __future__ import annotations

import unicodedata

import pytest

from sequela.evaluation.answer_reading.languages import LANGUAGES
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer

TAKEN_BACK = [
    ("Oslo eller Bergen", "Oslo"),
    ("Oslo sau Bergen", "Oslo"),
    ("Oslo tai Bergen", "Oslo"),
    ("Oslo vagy Bergen", "Oslo"),
    ("Oslo veya Bergen", "Oslo"),
    ("Oslo atau Bergen", "Oslo"),
    ("Oslo hoặc Bergen", "Oslo"),
    ("Oslo o Bergen", "Oslo"),
    ("Oslo of misschien Bergen", "Oslo"),
    ("Oslo niet", "Oslo"),
    ("Oslo is niet de hoofdstad", "Oslo"),
    ("Oslo er ikke hovedstaden", "Oslo"),
    ("Oslo ist verkehrt", "Oslo"),
    ("Oslo n'est plus la capitale", "Oslo"),
    ("Oslo non è la capitale", "Oslo"),
    ("Oslo não é a capital", "Oslo"),
    ("Oslo no era la capital", "Oslo"),
    ("Oslo nie jest stolicą", "Oslo"),
    ("Oslo není hlavní město", "Oslo"),
    ("Oslo değil", "Oslo"),
    ("Oslo ei ole pääkaupunki", "Oslo"),
    ("Oslo bukan ibu kota", "Oslo"),
    ("Oslo không phải", "Oslo"),
    ("Oslo. Nej, Bergen.", "Oslo"),
    ("Oslo. Nein, Bergen.", "Oslo"),
    ("Oslo? Neen, Bergen.", "Oslo"),
    ("Oslo. Não, Bergen.", "Oslo"),
    ("Oslo. Nie, Bergen.", "Oslo"),
    ("Oslo. Hayır, Bergen.", "Oslo"),
    ("Oslo, perdón, Bergen", "Oslo"),
    ("Oslo, anzi, Bergen", "Oslo"),
    ("Oslo, besser gesagt Bergen", "Oslo"),
    ("Осло или Берген", "Осло"),
    ("Осло чи Берген", "Осло"),
    ("Осло не столица", "Осло"),
    ("Осло — неправильный ответ", "Осло"),
    ("Осло. Ні, Берген.", "Осло"),
    ("Осло, точнее Берген", "Осло"),
    ("Όσλο ή Μπέργκεν", "Όσλο"),
    ("Όσλο δεν είναι", "Όσλο"),
    ("Όσλο. Όχι, Μπέργκεν.", "Όσλο"),
    ("القاهرة أم دمشق", "القاهرة"),
    ("القاهرة ليست العاصمة", "القاهرة"),
    ("القاهرة. لا، دمشق.", "القاهرة"),
    ("חיפה או אילת", "חיפה"),
    ("חיפה. לא, אילת.", "חיפה"),
    ("تهران نیست", "تهران"),
    ("تهران. نه، شیراز.", "تهران"),
    ("دہلی یا ممبئی", "دہلی"),
    ("दिल्ली अथवा मुंबई", "दिल्ली"),
    ("दिल्ली नहीं है", "दिल्ली"),
    ("दिल्ली। नहीं, मुंबई।", "दिल्ली"),
    ("ঢাকা বা সিলেট", "ঢাকা"),
    ("กรุงเทพหรือเชียงใหม่", "กรุงเทพ"),
    ("กรุงเทพไม่ใช่", "กรุงเทพ"),
    ("上海还是北京", "上海"),
    ("上海并非首都", "上海"),
    ("上海错了", "上海"),
    ("上海。不对，北京。", "上海"),
    ("上海吗？", "上海"),
    ("大阪か京都です", "大阪"),
    ("大阪ではなかった", "大阪"),
    ("大阪は間違いです", "大阪"),
    ("大阪。いえ、京都です。", "大阪"),
    ("부산이나 대구", "부산"),
    ("부산은 정답이 아닙니다", "부산"),
    ("부산이 아닌 대구", "부산"),
    ("부산? 아뇨, 대구", "부산"),
]
SAID = [
    ("Oslo und nicht Bergen", "Oslo"),
    ("Oslo, nicht Bergen", "Oslo"),
    ("Oslo, ikke Bergen", "Oslo"),
    ("Oslo nicht nur im Winter", "Oslo"),
    ("Oslo of the north", "Oslo"),
    ("o o o", "o"),
    ("Oslo. No museum is larger.", "Oslo"),
    ("Осло и не Берген", "Осло"),
    ("Осло, а не Берген", "Осло"),
    ("Осло не только столица", "Осло"),
    ("Осло. Нет сомнений.", "Осло"),
    ("Όσλο, η πρωτεύουσα", "Όσλο"),
    ("القاهرة وليس دمشق", "القاهرة"),
    ("दिल्ली, मुंबई नहीं", "दिल्ली"),
    ("दिल्ली यात्रा", "दिल्ली"),
    ("上海，不是北京", "上海"),
    ("上海而不是北京", "上海"),
    ("上海不仅很大", "上海"),
    ("上海非常大", "上海"),
    ("上海没错", "上海"),
    ("大阪から", "大阪"),
    ("大阪かもしれない", "大阪"),
    ("大阪、京都ではない", "大阪"),
    ("大阪ではないかと思う", "大阪"),
    ("부산이지 대구가 아니다", "부산"),
    ("부산, 대구가 아니라", "부산"),
]


@pytest.mark.parametrize(("text", "answer"), TAKEN_BACK)
def test_an_answer_is_taken_back_in_other_languages(text: str, answer: str) -> None:
    assert not starts_with_answer(text, answer)


@pytest.mark.parametrize(("text", "answer"), SAID)
def test_other_words_of_these_languages_take_nothing_back(text: str, answer: str) -> None:
    assert starts_with_answer(text, answer)


def test_words_are_read_in_any_unicode_form() -> None:
    for text in ("Oslo hoặc Bergen", "Oslo değil", "Oslo não é a capital"):
        assert not starts_with_answer(unicodedata.normalize("NFD", text), "Oslo")


def test_the_languages_are_sorted_and_have_all_kinds_of_words() -> None:
    names = [one.name for one in LANGUAGES]
    assert names == sorted(set(names))
    assert all((one.either or one.either_behind) and one.denial and one.no for one in LANGUAGES)
