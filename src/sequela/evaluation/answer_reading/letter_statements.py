"""The words that state a letter, before it (`the answer is`) and behind it (`is correct`)."""

from __future__ import annotations

import re
import unicodedata

from sequela.evaluation.answer_reading.clauses import CORRECTIONS

OPENING = r"[\s*_\"'`“”„‘’‚«»‹›「」『』(\[{【〔<>《〈$|:,;.•·#=→⇒➡>✅✔👉—-]{0,40}"
"""Marks before a letter; a bounded number, so that texts of marks alone take no longer."""
ANY_LETTER = r"(?P<letter>[A-Za-z])"
_LETTER_END = r"(?!['’]\w|[^\W가-힣一-鿿ぁ-ヿ])"
"""The end of a letter's word; in some scripts, words run on."""

ADVERBS = (
    r"probably|likely|most\s+likely|clearly|definitely|therefore|thus|then|simply|just|only|obviously"
    r"|certainly|surely"
    r"|maybe|perhaps|possibly|presumably|apparently|undoubtedly|evidently|naturally|actually|really|indeed"
    r"|basically"
    r"|honestly|hopefully|absolutely|exactly|still|again|logically|hence|plainly|truly|arguably"
    r"|conceivably|seemingly"
)
_ANSWER_WORDS = (
    "answer|ans|option|choice|solution|response|letter|pick|selection|guess|conclusion|"
    "antwort|lösung|buchstabe|réponse|reponse|lettre|respuesta|opción|opcion|letra|resposta|opção|alternativa|risposta"
    "|opzione|lettera|antwoord|svar|odpowiedź|odpověď|cevap|yanıt|vastaus|răspuns|válasz|ответ|відповідь|вариант"
    "|απάντηση|الإجابة|الجواب|תשובה|उत्तर|คำตอบ|đáp\\s+án|phương\\s+án|câu\\s+trả\\s+lời|trả\\s+lời|jawaban"
)
_UNSPACED_WORDS = "答案|答え|正解|解答|回答|选项|選項|选择|選擇|选|選|应该|應該|应|정답|답"
_LABELS = (
    r"(?:correct|right|best|final|selected|chosen|result|verdict|output|prediction|predicted|label|class"
    r"|category|key"
    r"|decision|reply|assistant|model|bot|ai|system|value|return|returns)\s*[:=]"
)
"""Other words that state an answer, if a colon follows."""
_LINK_VERBS = (
    r"is|was|be|are|being|equals|becomes|remains|est|ist|lautet|es|é|è|sería|seria|serait|wäre"
    r"|sarebbe|là|adalah|jest"
)
_LINK = (
    rf"(?:,\s*(?:{ADVERBS}),)?(?:\s+(?!not\b|never\b|cannot\b|no\b|pas\b|nicht\b|não\b|non\b|không\b"
    rf"|n['’]est\b"
    r"|\w+n['’]t\b)[\w'’]+){0,6}?\s*"
    rf"(?:\b(?:{_LINK_VERBS})\b|[:=→—]|->|\s-|['’]s\b|是|为|為|는|은|は)"
)
_CHOOSE = (
    r"choos(?:e|ing)|chose|pick(?:ing|ed)?|select(?:ing|ed)?|vot(?:e|ing)(?:\s+for)?|(?:go(?:ing)?"
    r"|went)\s+(?:with|for)|opt(?:ing)?\s+for|settle\s+on"
    r"|elijo|elegiría|escojo|escogería|selecciono|escolho|marco|(?:je\s+)?choisis|wähle|nehme|scelgo"
    r"|sceglierei|chọn|kies|выбираю"
)
_BE = r"is|['’]s|was|must\s+be|should\s+be|(?:would|['’]d)\s+be|has\s+(?:got\s+)?to\s+be"
_BEST_NOUNS = (
    r"fit|match|statement|sentence|description|explanation|example|definition|interpretation|illustration"
    r"|completion"
    r"|representation|summary|translation|term|word|phrase|reason|order|sequence|pair|item|way|approach"
    r"|method|diagnosis"
    r"|treatment|step|argument|assumption|inference|claim|candidate|alternative|bet"
)
"""Names for what a question asks for, of which one is the best or the correct one."""
_FILLERS = (
    rf"{ADVERBS}|the|option|choice|letter|answer|number|la|el|le|die|der|das|den|il|lo|(?-i:a)|letra"
    rf"|lettre|lettera|opción|opção"
    r"|opzione|alternativa|réponse|respuesta|resposta|risposta|antwort|buchstabe|câu|đáp\s+án|phương\s+án|be"
)
STATEMENT = re.compile(
    unicodedata.normalize(
        "NFKC",
        rf"(?:\b(?P<noun>{_ANSWER_WORDS})\b(?P<link>{_LINK})?|\b{_LABELS}"
        rf"|\b(?:{_CHOOSE})(?!\w)|(?:{_UNSPACED_WORDS})\s*(?:是|は|는|은|选|選|为|為)?|\b(?:correct|right|true"
        rf"|best)(?:\s+(?:one|{_BEST_NOUNS}))?\s+(?:{_BE})\b"
        rf"|(?P<pointed>\b(?:it|that|this|mine)\s*(?:{_BE})\b|^\W*(?:must|has\s+(?:got\s+)?to|gotta"
        rf"|should)\s+be\b"
        r"|\b(?:looks?|seems?|sounds?)\s+like\b|\b(?:leaves|leaving)(?:\s+(?:us|me))?(?:\s+with)?\b"
        r"|(?:\bam|\bare|['’]re|['’]m)\s+left\s+with\b"
        r"|\bc['’]est\b|\b(?:das|es|richtig|korrekt)\s+ist\b|\b(?:es\s+la|é\s+a|è\s+la)\b|^\s*là\b)"
        r"|\b(?P<mentioned>corresponds?\s+to|is\s+(?:described|shown|listed|given)\s+(?:in|by|as|under))\b"
        r"|\b(?:i|we)(?:\s+would|\s+will|['’]d|['’]ll|\s+have\s+to|['’]m|\s+am)?"
        r"\s+(?:choose|pick|select|say|go\s+with|think|believe|guess|suppose|vote\s+for|take|get|answer)\b"
        r"(?:\s+(?:it\s+is|it['’]s|that))?"
        r"|\b(?:so|therefore|thus|hence|finally)\b)"
        rf"[\])}}>]?(?:\s*(?:{_FILLERS})\b){{0,6}}{OPENING}{ANY_LETTER}{_LETTER_END}",
    ),
    re.IGNORECASE,
)
"""Words that state an answer, and the letter."""

_ADVERB = rf"(?:\s+(?:{ADVERBS}|very|quite|by\s+far|most|more|the\s+most|the\s+only|(?!equally\b)\w+ly))*"
_RIGHT = (
    r"correct|right|true|best|better|appropriate|accurate|likely|suitable|plausible|reasonable|good"
    r"|logical|valid|probable"
    r"|preferable|fitting|obvious|consistent|supported|proper|ideal|sound|sensible|convincing|apt|precise"
    r"|strongest|closest"
    r"|correct[oae]|corretta|corretto|certa|certo|justa|juste|exacte|exacta|exata|esatta|esatto|giusta"
    r"|giusto|bonne|richtig(?:e[nrs]?)?|korrekt(?:e[nrs]?)?|đúng"
)
_ANSWER = (
    r"answer|choice|option|solution|one(?!\s+of)|pick|response|selection|fit|match|winner|candidate"
    r"|alternative|statement|bet|guess|conclusion|explanation"
    r"|antwort|lösung|réponse|respuesta|resposta|risposta|đáp\s+án|opción|opção|alternativa|option"
)
_NOUN_PHRASE = (
    r"(?:(?:the|a|an|my|our|your|clearly|la|le|die|une|una|uma|meine|ma|mi)\s+)?(?:(?:most"
    rf"|more|very|single|only|final|clear|obvious|other|first|{_RIGHT})\s+)*"
)
_STOPS = (
    r"(?=\s*(?:$|[.,;:!)\]*_\"'”’…。—–-])|\s+(?:because|since|as|for|in|here|given|of|to|and|but|so|based"
    r"|among|from|by|due|when|if|that|which"
    r"|according|considering|with|than|i|we|it|this|the|not|answer|porque|weil|car|pois|parce|perché|vì)\b)"
)
RIGHTNESS = (
    rf"(?:{_NOUN_PHRASE}(?:(?:{_ANSWER})(?!\w)|(?:{_RIGHT})(?!\w){_STOPS})|it{_STOPS}|what\s+(?:i"
    r"|we)\b|because\b|where\s+it)"
)
"""Names for a letter that is the answer: `correct`, `the best choice`, `it`."""
_COPULAS = (
    r"is|was|would\s+be|must\s+be|should\s+be|will\s+be|has\s+to\s+be|can\s+be|could\s+be|might\s+be"
    r"|may\s+be|(?:seems|looks)(?:\s+to\s+be|\s+like)?"
    r"|appears(?:\s+to\s+be)?|sounds(?:\s+like)?|remains|feels|['’]s|es|est|ist|é|è|là|sería|seria|serait"
    r"|wäre|sarebbe"
)
_DOES_BEST = (
    r"(?:best|most\s+(?:\w+ly\s+)?|(?:(?:most|more)\s+)?(?:accurately|correctly|closely|clearly|precisely"
    r"|properly|fully)\s+)"
    r"\s*(?:describ|explain|complet|fit|match|represent|captur|reflect|answer|illustrat|summari[sz]|express"
    r"|defin"
    r"|exemplif|support|satisf|characteri[sz]|account|correspond|suit|address|demonstrat|identif|interpret"
    r"|align)(?:e?s|ies)\b"
)
"""Words behind a letter that say that it does best what was asked for: `best describes`."""
PREDICATE = (
    rf"(?:(?:{_COPULAS}){_ADVERB}\s+{RIGHTNESS}"
    rf"|(?:(?:{ADVERBS})\s+)?(?:fits|matches|works|applies|holds|wins|makes{_ADVERB}\s+(?:the\s+"
    rf"|perfect\s+|good\s+|more\s+)*sense)\b)"
)
"""The words behind a letter that call it the answer."""
POSTFIX = re.compile(
    rf"(?<![\w'’])(?:(?P<named>(?:option|choice|answer|letter|opción|opção|alternativa|letra|lettre"
    rf"|lettera)\s+))?[(\[\"'“]?{ANY_LETTER}[)\]\"'”.]*\s+(?:alone\s+)?(?:{PREDICATE}|{_DOES_BEST}"
    rf"|remains\s*(?:$|[.!])"
    rf"|(?:{_COPULAS})\s+the\s+(?:best|correct|right)\s+(?:{_BEST_NOUNS})\b)",
    re.IGNORECASE,
)
"""A letter that is called the answer: `B is correct`."""

CALLED_THE_ANSWER = re.compile(rf"\b(?:correct|right|answer|best\s+(?:{_ANSWER}))\b", re.IGNORECASE)
"""The words of a letter that is called the answer, rather than a good or a likely one."""

_UNSPACED_ENDS = (
    r"\s*(?:です|でした|だ(?!\w)|だと|である|になり|が(?:最も|一番)?(?:正解|正しい|答え|適切)|を選|と思|입니다|이다|예요|이에요|번|이\s*정답|가\s*정답"
    r"|가\s*맞|이\s*맞|라고|으로\s*보"
    r"|(?:选|選)?[项項](?:[。，,.!！]|$|是?(?:正确|正確|对|對)|为正确)|是?(?:最)?(?:正确|正確|合适|合適|恰当)|是?(?:对|對)的|是(?:正确|正確)?答案"
    r"|是我的|才[对對是]|[吧。]|因为|因為)"
)
GOES_ON_ABOUT_AN_ANSWER = re.compile(
    rf"\s+(?:{PREDICATE}|(?:is|it\s+is|must\s+be|would\s+be|was)\s*(?:$|[.,;:!])"
    r"|because|since|due\s+to|given\s+that|as\s+(?:it|that|this|the|these|they|he|she|we|all|there|its"
    r"|only|no|most)|weil|denn|porque|pois|parce\s+que|perché|poiché|vì)\b"
    r"|\s+(?:i\s+(?:think|believe|guess|suppose|say|would\s+say|choose)|it\s+(?:is|must\s+be"
    r"|has\s+to\s+be)\s*(?:\W|$)|is$|for\s+sure"
    r"|of\s+course|please|here)"
    rf"|\s+(?:{ADVERBS})\s*(?:$|[.!,])|{_UNSPACED_ENDS}",
    re.IGNORECASE,
)
"""Words behind a letter that go on about an answer; `a cat` and `vitamin C deficiency` have others."""
INSTEAD = re.compile(
    r"(?:不是\s*[A-Z]\s*[，,、]?\s*(?:而)?是|(?<![A-Za-z])[A-Z]\s*(?:では?なく|じゃなくて?|[이가]\s*아니[라고])\s*[、,，]?"
    rf"|\bnot\s+{OPENING}[A-Za-z]\b[)\]]?[,;]?\s*(?:but|rather|instead)|\b(?:no|wait|sorry|actually)[,:]"
    rf"|[.,;!?…—-]\s*(?:(?:oh|but|and|well|um+|uh)[\s,]{{1,9}}){{0,3}}(?!(?:no"
    rf"|nope)\s+[A-Z])(?:(?:{CORRECTIONS})[\s,.:;!…—-]{{1,9}}){{1,4}}(?=[(\[\"'“]?(?-i:[A-Z])(?![\w'’]))"
    rf"|[.,;!?…—-]\s*(?:{CORRECTIONS})[\s,.:;!…—-]+(?:it\s+is|it['’]s|that\s+(?:it\s+)?is|option"
    rf"|the\s+answer\s+is)(?=\s))"
    r"(?:\s+(?:rather|actually|it\s+is|it['’]s|option))*"
    rf"{OPENING}{ANY_LETTER}{_LETTER_END}",
    re.IGNORECASE,
)
"""A letter in the place of another one: `not A but B`, `no, B`."""

LAST = re.compile(
    r"(?:[.!?:][^\S\n]{1,20}|\n|\A\W{0,20}(?i:in|based|of|to|from|given|for|after|with|by|according|if"
    r"|looking"
    r"|considering)\b[^.!?\n]{0,150},)"
    rf"(?:\s{{0,20}}(?:so|thus"
    rf"|therefore)\b)?{OPENING}(?P<letter>[A-Z])[\s*_\"'`”’»」』)\]}}】〕>》〉$|]{{0,40}}[.!]?\s{{0,40}}\Z"
)
"""A letter that is the last sentence or line, or follows an introduction: `A is wrong. B.`, `Of these, B.`"""
