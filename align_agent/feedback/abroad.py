"""Short plain complaints in twelve languages, and emoji that are the whole message.

The message has to say nothing else ("Viel zu lang!", "太长了") but please and thanks. Where more
follows it is kept for a look; where other matter stands before, nothing is read. Everything longer
is `lexical`'s (English) and the classifier's.
"""

from __future__ import annotations

import re
import unicodedata

from align_agent.feedback.asked import asks, judged
from align_agent.feedback.faults import Category
from align_agent.feedback.lexical import Reading
from align_agent.feedback.patterns import alternatives
from align_agent.feedback.reactions import BLUNT, leaning
from align_agent.feedback.text import CODE, QUOTE, own_words

Found = tuple[Category, str]

MAX_CHARS = 120
MAX_WORDS = 14
CONFIDENCE = 0.85
WEAK = 0.55  # a rolled eye may be about anything
MAX_EMOJI = 12  # characters; some are made of several

_PLEASE = (
    r"(?:bitte|s'il (?:te|vous) pla\u00eet|svp|stp|por favor|per favore|per piacere"
    r"|alsjeblieft|alstublieft|a\.?u\.?b|prosz\u0119|\u043f\u043e\u0436\u0430\u043b\u0443\u0439"
    r"\u0441\u0442\u0430|l\u00fctfen|\u8bf7|\u8bf7\u7528)"
)
# May stand before without a comma, and alone beside a complaint.
_LEAD = alternatives(
    """
    nein | nö | ach | also | hm+ | sorry | aber | ok | okay | leider | mais | désolé | bon | pero |
    lo siento | mas | desculpa | ma | scusa | maar | helaas | ale | niestety | нет | но | увы | ой |
    hayır | ama | 嗯 | いいえ | でも | 아니요 | 아뇨
    """
)
# These deny what follows ("no está mal") unless a comma parts them from it.
_DENIES = alternatives("non | no | não | nie | не | nee+ | 不 | 不是 | いや | 아니")
_THANKS = alternatives(
    """
    (?:trotzdem |vielen |besten )?dank(?:e)?(?: (?:schön|dir|trotzdem))? | merci(?: quand même)? |
    (?:muchas )?gracias | (?:muito )?obrigad[oa] | grazie(?: mille)? | dank je(?: wel)? | bedankt |
    dziękuję | dzięki | спасибо | thanks | thank you | 谢谢你? | ありがとう(?:ございます)? |
    감사합니다 | 고마워(?:요)? | teşekkürler | sağ ol
    """
)
_LEADS = re.compile(rf"^(?:{_LEAD}) ")
_COURTESY = re.compile(rf"(?:{_PLEASE}|{_LEAD}|{_DENIES}|{_THANKS})")
_COMMA_BEFORE_PLEASE = re.compile(rf"[,、，]\s*(?={_PLEASE}\s*(?:[.!。！…\n]|$))")
_POLITE_ENDS = re.compile(rf"^{_PLEASE} |\s?(?:{_PLEASE}|{_THANKS})$")
_LANGUAGES = (
    "deutsch|englisch|französisch|spanisch|italienisch|türkisch|polnisch|russisch|français|anglais"
    "|allemand|espagnol|italien|español|inglés|alemán|francés|castellano|português|inglês|italiano"
    "|inglese|tedesco|nederlands|engels|duits"
)
_PATTERNS: tuple[tuple[Category, str, str], ...] = (
    (
        "too_long",
        "length:brief",
        r"""
        (?:das (?:ist|war) |ist |die antwort (?:ist|war) )?(?:mir )?
        (?:(?:echt|viel|etwas|deutlich|immer noch) )?(?:zu|viel zu) (?:lang
        |ausführlich|lange?r text|viel text) |
        (?:viel |bitte |noch |etwas |und )*kürzer(?: fassen)? |
        fass dich (?:bitte )?(?:kurz|kürzer) | mach(?:'s| es| das)? (?:bitte )?kürzer |
        (?:c'est |c'était |(?:la|ta|votre) réponse est )?
        (?:(?:beaucoup|bien|un peu|vraiment) )?trop long(?:ue)? |
        (?:fais |plus |un peu )*plus court |
        sois (?:plus )?bref |
        (?:es |está |eso es |la respuesta es )?(?:demasiado|muy|excesivamente) (?:larg[oa]
        |extens[oa]) | (?:hazlo )?más (?:corto|breve) | sé (?:más )?breve | demasiado texto |
        muito comprid[oa] |
        (?:é |está |ficou |isso (?:é|está) )?(?:muito|demasiado|longo) (?:long[oa]|extens[oa]
        |demais) | (?:faz |faça )?mais curto | seja (?:mais )?breve |
        (?:è |questo è )?(?:troppo|decisamente troppo) (?:lung[oa]|prolisso) |
        più (?:corto|breve) | sii (?:più )?breve |
        (?:dat is |het is |dit is )?(?:veel )?te lang(?:dradig)? | (?:maak het )?korter |
        (?:to jest |to )?(?:o wiele |zdecydowanie |trochę )?(?:za|zbyt) (?:długie|długa|długi
        |długo) | krócej |
        (?:это |очень )?(?:слишком|очень|чересчур) (?:длинно|длинный|много текста|долго) |
        (?:покороче|короче|сократи) |
        (?:这|这个|回答|你的回答)?(?:太|有点|实在太)(?:长|啰嗦|冗长)(?:了|啦)? |
        (?:请)?(?:简短|短|简洁)(?:一点|点|些) |
        (?:これは|ちょっと|少し)?長(?:すぎ(?:る|ます|です)?|い(?:です)?)(?:よ|ね)? |
        (?:もっと)?短く(?:して(?:ください)?)? |
        (?:너무 ?|좀 ?)(?:길어(?:요)?|길다|깁니다|긴데요?) |
        (?:더 ?)?짧게(?: ?해 ?(?:줘|주세요))? |
        (?:bu )?(?:çok|fazla|aşırı) uzun(?: olmuş| oldu)? | daha kısa(?: yaz)? | kısalt
        """,
    ),
    (
        "too_short",
        "length:steps",
        r"""
        (?:das ist |ist )?(?:viel |etwas )?zu (?:kurz|knapp) | (?:bitte )?ausführlicher |
        (?:c'est )?(?:beaucoup |bien |un peu )?trop court(?:e)? |
        (?:es |está )?(?:demasiado|muy) cort[oa] | (?:é |está )?(?:muito|demasiado) curt[oa] |
        (?:è )?troppo (?:cort[oa]|breve) | (?:dat is |het is )?(?:veel )?te kort |
        (?:za|zbyt) (?:krótkie|krótka|krótko) | слишком (?:коротко|кратко) | 太短了? |
        短すぎ(?:る|ます)? | 너무 ?짧아(?:요)? | çok kısa(?: olmuş)?
        """,
    ),
    (
        "wrong_fact",
        "",
        r"""
        (?:das (?:ist|war) |ist )?(?:leider |komplett |völlig |einfach )?(?:falsch|nicht richtig
        |nicht korrekt|nicht wahr) | (?:das )?stimmt (?:so |leider |doch )?(?:nicht|net) |
        (?:c'est |c'était )?(?:complètement )?faux | c'est incorrect |
        (?:ce n'est |c'est )?pas (?:vrai|juste|correct|exact|bon) |
        (?:está|eso está) mal | (?:es |está |eso es |eso está )?(?:incorrecto|equivocado|falso) |
        (?:eso )?no es (?:cierto|verdad|correcto|así) |
        (?:está |isso está |isso é )?(?:errad[oa]|incorret[oa]|falso) |
        (?:isso )?não (?:é verdade|está certo|está correto) |
        (?:è |questo è )?(?:sbagliat[oa]|errat[oa]|falso) | non è (?:vero|corretto|giusto) |
        (?:dat is |dit is )?(?:fout|verkeerd|onjuist|niet (?:waar|juist|correct)) |
        (?:dat )?klopt niet | (?:to jest |to )?(?:źle|błędne|błąd|nieprawda|niepoprawne) |
        to nieprawda | to nie jest prawda | (?:te|se) equivocas? | ti sbagli |
        (?:это |всё )?(?:неправильно|неверно|не так|неправда|ошибка) |
        (?:это )?не(?:правильный| верно) ?(?:ответ)? |
        (?:这|这个|你)?(?:不对|错了|不正确|说错了|是错的)(?:啊|吧)? |
        (?:いや|いいえ)?(?:それ(?:は)?|これ(?:は)?)?(?:違(?:う|います)|間違(?:い(?:です)?
        |って(?:る|います)|えてます))(?:よ)? |
        (?:그건 ?|이건 ?|그거 ?)?(?:틀렸어(?:요)?|틀렸습니다|아니에요|잘못됐어(?:요)?) |
        (?:bu )?(?:yanlış|doğru değil|hatalı)(?: bu)?
        """,
    ),
    (
        "wrong_result",
        "",
        r"""
        (?:das |es )?(?:funktioniert|geht|klappt) (?:so |leider |immer noch |bei mir )?nicht |
        (?:ça |cela )?ne (?:marche|fonctionne) (?:toujours )?pas | ça (?:marche|fonctionne) pas |
        (?:esto |eso )?(?:todavía )?no (?:me )?funciona | sigue sin funcionar |
        não (?:funciona|funcionou) |
        non funziona | (?:dat |het )?werkt niet | nie działa | (?:это |всё )?не работает |
        (?:还是)?(?:不行|不能用|不工作|运行不了) | 動(?:かない|きません)(?:です)? |
        안 ?(?:돼요?|됩니다)|작동(?:이)? ?안 ?(?:해요?|돼요?) | çalışmıyor
        """,
    ),
    (
        "not_as_asked",
        "",
        r"""
        (?:das |danach )?(?:habe|hab) ich (?:dich )?(?:so )?nicht (?:gefragt|gemeint|gewollt) |
        (?:das )?(?:war|ist) nicht (?:meine frage|was ich (?:wollte|meinte|gefragt habe)) |
        (?:ce n'est|c'est) pas (?:ce que (?:j'ai demandé|je (?:voulais|demandais))|ma question) |
        (?:eso )?no es lo que (?:pedí|pregunté|quería|te pedí) |
        no (?:fue|era) (?:eso|lo que pedí) |
        não (?:foi|é|era) (?:isso|o) que (?:eu )?(?:pedi|perguntei|queria) |
        non è (?:quello che (?:ho chiesto|volevo|chiedevo)|la mia domanda) |
        dat (?:vroeg ik niet|is niet wat ik (?:vroeg|bedoelde|wilde)) |
        nie o to (?:pytałem|pytałam|prosiłem|prosiłam|chodziło|mi chodziło) |
        (?:я )?(?:не об этом|не это|не про это) (?:спрашивал|просил|спросил|хотел)а? |
        я спрашивал не об этом |
        (?:我)?(?:问的不是这个|不是我(?:要的|问的)|不是这个意思|没问这个) |
        (?:聞きたいのは|質問は)?そう(?:いうこと)?じゃ(?:ない|ありません)
        |そんなこと(?:は)?聞いて(?:ない|いません) |
        (?:제가 ?|내가 ?)?(?:물어본|원한) ?(?:건|게|것이) ?(?:그게 ?)?아니(?:에요|야|라고요) |
        (?:ben )?bunu (?:sormadım|istemedim) | sorduğum bu değil(?:di)?
        """,
    ),
    (
        "language",
        "",
        rf"""
        (?:bitte )?(?:antworte|schreib|sprich
        |rede)(?:e)? (?:mir )?(?:bitte )?auf (?:{_LANGUAGES})(?: bitte)? |
        auf (?:{_LANGUAGES}) bitte | bitte auf (?:{_LANGUAGES}) |
        (?:réponds?|répondez|écris|parle)(?:-moi)?(?: en)? (?:{_LANGUAGES}) |
        en (?:{_LANGUAGES}) {_PLEASE} |
        (?:responde|contesta|escribe|habla|escreva|responda|fale)(?:me)? (?:en
        |em) (?:{_LANGUAGES}) | em (?:{_LANGUAGES}) {_PLEASE} |
        (?:rispondi|scrivi|parla) in (?:{_LANGUAGES}) | in (?:{_LANGUAGES}) {_PLEASE} |
        (?:antwoord|schrijf) in het (?:{_LANGUAGES}) | in het (?:{_LANGUAGES}) {_PLEASE} |
        (?:odpowiadaj|odpowiedz|pisz|mów) po (?:polsku|angielsku|niemiecku) |
        po polsku {_PLEASE} | (?:отвечай|пиши|говори|ответь) (?:на русском|по-русски|по русски) |
        (?:на русском|по-русски) {_PLEASE} |
        (?:请)?(?:用|说|讲)(?:中文|英文|英语)(?:回答|说|写|回复)?(?:吧)? |
        (?:日本語|英語)で(?:お願いします|答えて(?:ください)?|書いて(?:ください)?) |
        (?:한국어|영어)로 ?(?:해 ?주세요|답해 ?주세요|대답해 ?(?:줘|주세요)|부탁해요|써 ?줘) |
        (?:türkçe|ingilizce) (?:yaz|konuş|cevap ver|lütfen)(?:ar mısın)?
        """,
    ),
)
# "En français, s'il te plaît" after a translation asks for one more.
_TRANSLATES = re.compile(
    r"transl|übersetz|tradu|vertaal|tłumacz|перевед|перевод|翻译|翻訳|訳|번역|çevir",
    re.I,
)
_READ = tuple(
    (category, key, re.compile(alternatives(words))) for category, key, words in _PATTERNS
)
_ABOUT_TRUTH = ("wrong_fact", "wrong_result", "not_as_asked")
_SENTENCES = re.compile(r"([^.!?。！？…\n]+)([.!?。！？…]*)")
# What stands between these is another's; `text` knows only the quotation marks of English.
_QUOTED = re.compile("[「」『』‹›«»]")
MORE = "it sounds like a short complaint, and more follows that may be about something else"


def read_abroad(message: str, *, answer: str = "", previous_user: str = "") -> Reading | None:
    """What a short message in another language, or one of emoji alone, says; None for nothing."""
    if len(message) > MAX_CHARS or len(message.split()) > MAX_WORDS or not message.strip():
        return None
    asked = asks(answer)
    if not re.search(r"\w", message):
        return None if asked else _of_emoji(message.strip())
    said = own_words(message, answer=answer, previous_user=previous_user)
    text = unicodedata.normalize("NFKC", said).casefold().replace("\u2019", "'")
    if QUOTE in text or CODE in text or _QUOTED.search(message) or _is_quoted(message):
        return None
    found, more = _complaint(text)
    if found is None or (found[0] in _ABOUT_TRUTH and (asked or judged(message, answer))):
        return None
    category, key = found
    if category == "language" and _TRANSLATES.search(previous_user):
        return None
    sure, review = (WEAK, MORE) if more else (CONFIDENCE, "")
    directions = (key,) if key else ()
    return Reading("negative", category, sure, 1.0, key, message.strip(), directions, review=review)


def _is_quoted(message: str) -> bool:
    return any(line.lstrip().startswith((">", "&gt;")) for line in message.splitlines())


def _complaint(text: str) -> tuple[Found | None, bool]:
    """(the complaint that a message begins with, courtesies aside; whether more follows)."""
    found: Found | None = None
    for sentence, stop in _SENTENCES.findall(_COMMA_BEFORE_PLEASE.sub(" ", text)):
        for part in re.split(r"[,、，:;]", sentence):
            said = " ".join(re.sub(r"[^\w\s'-]", " ", part).split())
            if not said or _COURTESY.fullmatch(said):
                continue
            here = None if "?" in stop or "？" in stop else _of_part(said)
            if here is None:
                return found, True
            found = found or here
    return found, False


def _of_part(said: str) -> Found | None:
    """The complaint that a part between two commas is, please and thanks aside."""
    for _ in range(2):
        bare = _POLITE_ENDS.sub("", said).strip()
        for category, key, pattern in _READ:
            if pattern.fullmatch(said) or pattern.fullmatch(bare):
                return category, key
        said = _LEADS.sub("", said)
    return None


def _of_emoji(signs: str) -> Reading | None:
    side = leaning(signs) if len(signs) <= MAX_EMOJI else 0
    if side > 0:
        return Reading("positive", "praise", CONFIDENCE, 1.0, evidence=signs)
    if side < 0:
        sure = CONFIDENCE if set(signs) & BLUNT else WEAK
        return Reading("negative", "none", sure, 1.0, evidence=signs)
    return None
