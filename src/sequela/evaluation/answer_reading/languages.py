"""Words that take an answer back in other languages than English: "or", denials and corrections.

One row of the table is one language. Only closed classes of words are listed: conjunctions, negations,
words for wrong, and words with which a writer corrects what was said. Each field is an alternation of regular
expressions, read without accents as well as with them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_STROKES = str.maketrans("đłøıĐŁØ", "dloiDLO")
_ENDS = r"(?![\w'’-])"
_STOPS = r".!?,;:()\[\]\n。、！？，；：،؟؛।…"
_PUNCTUATION = rf"[{_STOPS}\s\"'“”’»)*_–—-]*[{_STOPS}–—-][\s\"'“”«‘(*_–—-]*"
_CLOSING = r"[\s\"'“”‘’»«)\]*_`」』]*"
_ANDS = (
    "und",
    "et",
    "y",
    "e",
    "и",
    "а",
    "та",
    "і",
    "en",
    "och",
    "og",
    "ja",
    "és",
    "i",
    "a",
    "και",
    "ve",
    "và",
    "dan",
)
_AND = "".join(rf"(?<!\b{word}\s)" for word in _ANDS)
"""`Rom und nicht Mailand` says Rome."""

_NE = r"не(?!\s+(?:только|менее|просто|так|далеко|само|тільки|лише|менш)\b)"
"""The negation of Slavic languages in Cyrillic, unless it denies nothing: `not only`."""


@dataclass(frozen=True)
class Language:
    """The words of a language.

    Args:
        name: Its name in English.
        either: Words for "or".
        either_behind: Words for "or" that are so only behind an answer, since they have other meanings too.
        denial: Words that deny the answer before them in its clause: negations and words for wrong.
        no: Interjections that take back what was just said, followed by punctuation or the end.
        rather: Words for "rather" and "I mean", followed by another answer.
        spaced: Whether spaces stand between words.
    """

    name: str
    either: str = ""
    either_behind: str = ""
    denial: str = ""
    no: str = ""
    rather: str = ""
    spaced: bool = True


LANGUAGES = (
    Language(
        "Arabic",
        either="أو|او|أم",
        denial=r"ليس(?:ت|وا)?|خطأ|خاطئ[ةه]?|غير\s+صحيح[ةه]?|لا\s+[يت]\w+|لم|لن|بل",
        no="لا|كلا|عفوا|عذرا|آسف|المعذرة|تصحيح|خطأ|انتظر",
        rather="بل|أقصد|أعني|بالأحرى",
    ),
    Language(
        "Bengali",
        either="বা|অথবা|নাকি|কিংবা",
        denial="নয়|না|নেই|ভুল",
        no="না|দুঃখিত|ভুল",
        rather=r"বরং|মানে|আমি\s+বলতে\s+চাই",
    ),
    Language(
        "Bulgarian, Croatian and Serbian",
        either="или|ili",
        denial=rf"{_NE}|није|nije|ne\s+(?:je|može|leži)|грешн\w+|погрешн\w+|pogrešn\w+",
        no="не|ne|извинете|извините|oprostite|izvinite",
        rather=r"по-скоро|радије|bolje\s+rečeno|mislim",
    ),
    Language(
        "Chinese",
        either="或者|或是|或(?![许許])|还是|還是|抑或",
        denial=r"(?<!而)不(?:是|对|對|行|正[确確]|在|[属屬]|能|[会會]|[应應]|可能|成立|[准準][确確]|符合|[为為])|不$|[并並][非不]"
        r"|(?<![没沒不])[错錯](?![落综綜过過])|有[误誤]|吗\s*\?|嗎\s*\?",
        no=r"不(?=\s*[,，.。!！…]|\s*$|[对對])|不[对對]|[错錯]了|更正|抱歉|[对對]不起|等等|等一下|我[错錯]了",
        rather="[应應][该該]?[是为為]|我是[说說]|[准準][确確]地[说說]|其[实實]是|[实實][际際]上是",
        spaced=False,
    ),
    Language(
        "Czech and Slovak",
        either="nebo|anebo|alebo",
        denial=r"není|nie\s+je|neby[lt]\w*|nesprávn\w+|špatn[ěá]|chybn\w+|zle",
        no="ne|nie|pardon|promiňte?|prepáčte?|počkej|počkaj|oprava|omyl",
        rather=r"vlastně|spíše?|vlastne|skôr|chtěl\s+jsem\s+říct",
    ),
    Language(
        "Danish, Norwegian and Swedish",
        either="eller",
        denial=r"(?:ikke|inte|icke)(?!\s+(?:kun|bare|bara|endast|långt|langt))|aldrig|aldri"
        r"|(?:er|är|var)\s+(?:\w+\s+)?(?:fel|feil|forkert|galt|felaktigt?)",
        no="nej|nei|förlåt|unnskyld|undskyld|beklager|beklagar|vänta|vent|rättelse|rettelse|fel|feil",
        rather=r"jag\s+menar|jeg\s+mener|snarare|snarere|rettere\s+sagt|rättare\s+sagt",
    ),
    Language(
        "Dutch",
        # Alone, `of` is also English.
        either_behind=r"ofwel|of(?=\s+(?:misschien|toch|wellicht|anders|eventueel)\b"
        r"|\s[^.!?\n]{0,60}\b(?:het|een|niet|weet|ik|wordt|ligt|denk|allebei)\b)",
        denial=r"niet(?!\s+(?:alleen|ver))|nooit|(?:is|was)\s+geen"
        r"|(?:is|was)\s+(?:\w+\s+)?(?:fout|onjuist|verkeerd|incorrect)|onjuist|verkeerd",
        no="neen?|sorry|wacht|correctie|fout|oeps|pardon",
        rather=r"ik\s+bedoel(?:de)?|of\s+liever|of\s+beter|beter\s+gezegd|of\s+eigenlijk",
    ),
    Language(
        "Finnish",
        either="tai|vai",
        denial=r"ei\s+(?:ole|ollut|sijaitse|voi|pidä)|väärin|väärä",
        no="ei|eikun|anteeksi|hetkinen|korjaus|väärin",
        rather=r"tarkoitan|tarkoitin|pikemminkin",
    ),
    Language(
        "French",
        either=r"ou(?:\s+(?:bien|alors|encore))?",
        denial=r"(?:n['’]?(?:est|était|a|ont|étaient|sera|serait)|ne\s+(?:\w+\s+){1,2}?)\s*(?:pas|plus|jamais|point)"
        r"(?!\s+(?:seulement|loin|que))|(?:c['’]?est|est|était|semble)\s+(?:\w+\s+)?"
        r"(?:faux|fausse|incorrecte?|inexacte?|erronée?)|pas\s*(?:$|[.!])",
        no="non|nan|pardon|désolée?|attends|attendez|correction|erreur|faux",
        rather=r"plutôt|ou\s+plutôt|je\s+veux\s+dire|je\s+voulais\s+dire|je\s+me\s+suis\s+trompée?",
    ),
    Language(
        "German",
        either=r"oder|bzw|beziehungsweise",
        denial=r"nicht(?!\s+(?:nur|weit|zuletzt|zu\s+verwechseln))|nie|niemals|falsch|unzutreffend|inkorrekt|verkehrt"
        r"|(?:ist|war|wäre|sind)\s+(?:\w+\s+)?kein\w*",
        no=r"nein|nee|moment(?:\s+mal)?|stopp?|halt|quatsch|korrektur|entschuldigung|verzeihung|sorry|falsch"
        r"|doch\s+nicht",
        rather=r"ich\s+mein(?:e|te)|besser\s+gesagt|vielmehr|oder\s+vielmehr|oder\s+besser",
    ),
    Language(
        "Greek",
        # Without its accent, the word is also the article.
        either_behind=r"(?<![,.;:]\s)[ήη]|είτε",
        denial=r"δεν|δε|λάθος|λανθασμέν\w+|εσφαλμέν\w+",
        no="όχι|συγγνώμη|λάθος|διόρθωση|περίμενε|στάσου",
        rather=r"[ήη]\s+μάλλον|εννοώ|για\s+την\s+ακρίβεια",
    ),
    Language(
        "Hebrew",
        either="או",
        denial="לא|אינו|אינה|איננו|איננה|שגוי|שגויה|טעות",
        no="לא|סליחה|רגע|תיקון|טעות|אופס",
        rather=r"התכוונתי|ליתר\s+דיוק|בעצם|אלא",
    ),
    Language(
        "Hindi and Marathi",
        either="या|अथवा|किंवा",
        denial="नहीं|नही|नाही|गलत|ग़लत|चूक",
        no=r"नहीं|नही|नाही|माफ़?\s+(?:कीजिए|करें|करा)|क्षमा\s+करें|रुको|रुकिए|सुधार|गलत|ग़लत",
        rather=r"बल्कि|मेरा\s+मतलब|असल\s+में",
    ),
    Language(
        "Hungarian",
        either="vagy",
        denial=r"nem(?!\s+csak)|helytelen|téves|hibás",
        no="nem|bocsánat|elnézést|várj|javítás|tévedés",
        rather=r"vagyis\s+inkább|pontosabban|inkább",
    ),
    Language(
        "Indonesian and Malay",
        either="atau|ataupun",
        denial=r"(?:bukan|tidak)(?:lah)?(?!\s+(?:hanya|cuma|saja|jauh))|salah(?!\s+satu)|keliru",
        no="bukan|tidak|maaf|tunggu|koreksi|ralat|salah",
        rather=r"maksud\s+saya|lebih\s+tepatnya|tepatnya",
    ),
    Language(
        "Italian",
        either="oppure",
        either_behind=r"o(?!\s+o\b)",
        denial=r"non\s+(?:è|é|era|fu|sono|sarà|sarebbe|può|lo\s+è|si\s)"
        r"|(?:è|era|sembra)\s+(?:\w+\s+)?(?:sbagliat[ao]|errat[ao]|fals[ao]|scorrett[ao])|sbagliat[ao]",
        no="macché|scusa(?:te|mi)?|aspetta|correzione|errore|falso|sbagliato",
        rather=r"anzi|volevo\s+dire|voglio\s+dire|intendevo|o\s+meglio|piuttosto",
    ),
    Language(
        "Japanese",
        either="または|又は|もしくは|若しくは|それとも|あるいは|或いは|か、",
        either_behind="か(?=[一-龯々ァ-ヶ])",
        denial=r"(?:では|じゃ)(?:な(?:い(?!か)|[くかけ])|ありません|ありませ|ございません)|違[いうっ]|間違[いえっ]|不正解|誤り|(?:です)?か\s*\?",
        no=r"いい?え|いや(?=[、,。.…\s]|$)|違[いうっ]|訂正|間違[いえっ]|すみません|ごめん|失礼|待って|ちょっと待",
        rather="というか|というより|正しくは|実は",
        spaced=False,
    ),
    Language(
        "Korean",
        either="또는|혹은|아니면",
        either_behind=r"(?:이나|나|이든지?|든지?|이라든가|라든가)(?=\s+[가-힣a-z])",
        denial=r"(?:[은는](?:[^.!?,;:\n]{0,20}?\s)?|[이가])?\s*(?:[가-힣]{0,4}답[이은]\s*)?(?:결코|절대로?|전혀)?\s*"
        r"(?:아니(?!면)|아닙|아닌|아냐|아녜|틀[렸린립]|오답|잘못)",
        no=r"아니(?:요|오|야|에요|예요)?(?=\s*[,.!…]|\s*$)|아뇨|아닙니다|틀[렸린]|정정|죄송|미안|잠깐|잠시만",
        rather=r"정확히는|사실은",
        spaced=False,
    ),
    Language(
        "Persian",
        either="یا",
        denial=r"نیست(?:ند)?|نبود|نمی\w*|غلط|اشتباه|نادرست",
        no=r"نه|نخیر|ببخشید|متأسفم|تصحیح|اشتباه",
        rather=r"بلکه|منظورم",
    ),
    Language(
        "Polish",
        either="lub|albo|czy|bądź",
        denial=r"nie(?!\s+tylko)|nieprawda|błędn\w+|niepoprawn\w+|nieprawidłow\w+|źle",
        no="nie|przepraszam|czekaj|poprawka|pomyłka|błąd|źle",
        rather=r"a?\s*raczej|to\s+znaczy|chciał[ae]m\s+powiedzieć",
    ),
    Language(
        "Portuguese",
        either=r"ou(?:\s+então)?",
        denial=r"não\s+(?:é|são|era|foi|será|seria|está|pode|fica)|nunca"
        r"|(?:é|está|era)\s+(?:\w+\s+)?(?:incorret[ao]|errad[ao]|fals[ao])",
        no="não|desculpe?m?|perdão|espera|correção|erro|falso|errado",
        rather=r"aliás|quero\s+dizer|ou\s+melhor|melhor\s+dizendo",
    ),
    Language(
        "Romanian",
        either="sau",
        denial=r"nu\s+(?:e|este|era|a\s+fost|poate|sunt|se)|greșit\w*",
        no="nu|scuze|pardon|stai|corecție|greșit",
        rather=r"mai\s+bine\s+zis|vreau\s+să\s+spun|mai\s+degrabă",
    ),
    Language(
        "Russian",
        either="или|либо",
        denial=rf"{_NE}|неверн\w*|неправильн\w*|ошибочн\w*|ложн\w*",
        no="нет|неа|стоп|стойте|подождите|погодите|извините|простите|поправка|ошибка|неверно|неправильно|ой",
        rather=r"вернее|точнее|скорее|я\s+имею\s+в\s+виду|я\s+имела?\s+в\s+виду|я\s+хотела?\s+сказать",
    ),
    Language(
        "Spanish",
        either_behind=r"o(?!\s+(?:sea|o)\b)|u(?=\s+h?o)",
        denial=r"no\s+(?:es|son|era|fue|será|sería|está|estaba|estuvo|puede|podría|lo\s+es|corresponde)|tampoco|nunca"
        r"|(?:es|está|era|resulta)\s+(?:\w+\s+)?(?:incorrect[ao]|fals[ao]|erróne[ao]|equivocad[ao])|equivocad[ao]",
        no="perdón|perdona|disculpa|espera|corrección|error|falso|incorrecto",
        rather=r"mejor\s+dicho|quiero\s+decir|más\s+bien|digo",
    ),
    Language("Tamil", either="அல்லது", denial="இல்லை|அல்ல|தவறு", no="இல்லை|மன்னிக்கவும்|தவறு"),
    Language("Telugu", either="లేదా", denial="కాదు|తప్పు", no="కాదు|లేదు|క్షమించండి|తప్పు"),
    Language(
        "Thai",
        either="หรือ",
        denial="ไม่ใช่|มิใช่|ไม่ถูก|ผิด",
        no=r"ไม่(?=[\s,.]|$)|ไม่ใช่(?=[\s,.]|$)|ขอโทษ|ขออภัย|แก้ไข|เดี๋ยว|ผิด",
        spaced=False,
    ),
    Language(
        "Turkish",
        either=r"veya|ya\s+da|yahut|veyahut",
        denial="değil(?:dir)?|yanlış|hatalı|olamaz",
        no=r"hayır|yok|pardon|özür\s+dilerim|düzeltme|bekle|dur|yanlış",
        rather=r"daha\s+doğrusu|demek\s+istedi\w+",
    ),
    Language(
        "Ukrainian",
        either="або|чи",
        denial=rf"{_NE}|невірн\w*|неправильн\w*|хибн\w*",
        no="ні|вибачте|перепрошую|стривайте|зачекайте|помилка|невірно",
        rather=r"точніше|вірніше|маю\s+на\s+увазі|радше",
    ),
    Language("Urdu", either="یا", denial="نہیں|غلط", no="نہیں|معذرت|غلط", rather=r"بلکہ|میرا\s+مطلب"),
    Language(
        "Vietnamese",
        either="hoặc|hay",
        denial=r"không\s+(?:phải|đúng|là|nằm|ở|thể|chính)|chẳng\s+phải|là\s+sai|sai\s*(?:$|[.!])|không\s*$",
        no=r"không|xin\s+lỗi|khoan|nhầm|à\s+nhầm|sai",
        rather=r"ý\s+tôi\s+là|đúng\s+hơn\s+là|à\s+không",
    ),
)
"""The languages that are covered; English has rules of its own."""


def _forms(words: str) -> str:
    """Returns an alternation in the spellings that are compared: with and without Latin and Greek accents."""
    composed = unicodedata.normalize("NFKC", words)
    bare = "".join(
        unicodedata.normalize("NFD", one)[0]
        if unicodedata.name(one, "").startswith(("LATIN", "GREEK"))
        else one
        for one in composed.translate(_STROKES)
    )
    return composed if bare == composed else f"{composed}|{bare}"


def _all(field: str, *, spaced: bool) -> str:
    rows = (getattr(one, field) for one in LANGUAGES if one.spaced == spaced)
    return "(?:" + "|".join(dict.fromkeys(_forms(row) for row in rows if row)) + ")"


EITHER = _all("either", spaced=True)
EITHER_UNSPACED = _all("either", spaced=False)
_EITHER_BEHIND = re.compile(
    rf"{_CLOSING}[,(]?\s*(?:{EITHER}{_ENDS}|{_all('either_behind', spaced=True)}{_ENDS}(?=\s*\w)"
    rf"|{EITHER_UNSPACED}|{_all('either_behind', spaced=False)})",
    re.IGNORECASE,
)
_DENIAL = re.compile(
    rf"{_CLOSING}(?:(?:[^{_STOPS}–—]{{0,40}}?\s)??(?:[=:–—-]\s)?{_AND}\b{_all('denial', spaced=True)}{_ENDS}"
    rf"|[^\s{_STOPS}]{{0,8}}?{_all('denial', spaced=False)})",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    rf"{_PUNCTUATION}(?:{_all('no', spaced=True)}(?:\s*[{_STOPS}–—]|\s+-|\s*$)"
    rf"|{_all('rather', spaced=True)}{_ENDS}\s*[,:]?\s*\w"
    rf"|{_all('no', spaced=False)}|{_all('rather', spaced=False)})",
    re.IGNORECASE,
)


def names_an_alternative(after: str) -> bool:
    """Returns whether the text behind an answer goes on with "or" in another language than English."""
    return bool(_EITHER_BEHIND.match(after))


def denies(after: str) -> bool:
    """Returns whether the clause of an answer denies it, in another language than English."""
    return bool(_DENIAL.match(after))


def corrects(after: str) -> bool:
    """Returns whether the text behind an answer takes it back, in another language than English."""
    return bool(_CORRECTION.match(after))
