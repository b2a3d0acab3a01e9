"""Words of six languages beside English: those that open a question or a request, and those that say nothing. Pure.

A question mark tells a question in any language; these are for messages without one. A word is left out where it also
opens what is no question ("quand", "quando", "wenn"). Words that say nothing are left out of a search only where the
text is in their language: "war", "hat" and "die" are English, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_GERMAN = """
aber alle als am an auch auf aus bei bin bis bist da das dass dein deine dem den der des die dir doch du ein eine
einem einen einer er es für gibt haben habe hat hatte hatten ich ihr im in ist ja kann können man mein meine meinem
meinen meiner mich mir mit nach nicht noch nur oder schon sein seine sich sie sind so über um und uns unser unsere
unter von vor war waren warum was wann wen wer wie wir wird wo zu zum zur welche welcher welches welchen
"""
_FRENCH = """
a ai au aux avait avec avons ce cette ces comment dans de des du elle elles en est et eu il ils je la le les leur
lui ma mais me mes moi mon ne nos notre nous on ont ou où par pas pour qu que quel quelle quels quelles qui sa se
ses son sont sur ta te tes toi ton tu un une vos votre vous était c d j l m n s t y quand combien pourquoi
"""
_SPANISH = """
a al algo como con cómo cuál cuáles cuándo cuánto cuántos de del donde dónde el ella ellos en era es esa ese eso
esta este está fue ha había hay he la las le les lo los me mi mis mí muy más no nos nuestra nuestro o para pero por
qué que quien quién se ser si sin son su sus sí te tiene tu tus un una unos y ya yo
"""
_PORTUGUESE = """
a ao aos as com como da das de do dos e ela ele em era essa esse esta este está eu foi há isso já lhe mais mas me
meu meus minha minhas muito na nas não nem no nos nossa nosso o os ou para pela pelo por qual quais quando quanto
quantos que quem onde se sem ser seu sua são também te tem tinha um uma você
"""
_ITALIAN = """
a ai al alla anche c che chi ci come con cosa da dal del della dei delle di dove e era gli ha hai ho i il in io l la
le lo loro lui ma me mi mia mie miei mio ne nei nel nella noi non nostro o per perché più quale quali quando quanto
quanti quello questa questo se sei si sono su sua suo ti tu tua tuo un una uno voi è
"""
_DUTCH = """
aan al als ben bij dan dat de deze die dit doe door een en er ge had hadden heb hebben heeft hem het hij hoe hoeveel
hun ik in is ja je jij jouw kan maar me mij mijn naar niet nog nu of om onder ons onze ook op over te tot u uit van
veel voor waar waarom waren was wat we welke wie wij wil word wordt zij zijn zo wanneer
"""
_ENGLISH = """
a about am an and are at be been but by can could did do does for from had has have he her him his how i if in is it
its me my of on or our she should so that the their them there they this to was we were what when where which who
why will with would you your
"""
_LANGUAGES: Mapping[str, frozenset[str]] = {
    "english": frozenset(_ENGLISH.split()),
    "german": frozenset(_GERMAN.split()),
    "french": frozenset(_FRENCH.split()),
    "spanish": frozenset(_SPANISH.split()),
    "portuguese": frozenset(_PORTUGUESE.split()),
    "italian": frozenset(_ITALIAN.split()),
    "dutch": frozenset(_DUTCH.split()),
}
_NOTHING: frozenset[str] = frozenset()
# English with one borrowed word is still English.
_CLEARLY = 1

_OPENING = """
wie wann wer wem wen wo woher wohin womit welche welcher welches welchen welchem wieviel warum weshalb
quel quelle quels quelles où combien pourquoi qui comment lequel laquelle
qué cuál cuáles cuándo dónde quién quiénes cuánto cuánta cuántos cuántas cómo
qual quais onde quem quanto quantos quantas
quale quali dove chi quanti quante perché
wat waar wanneer welk welke hoeveel waarom
"""
_REQUESTING = """
erinnere erinner sag sage nenne nenn erzähl erzähle zeig zeige liste erkläre erklär beschreibe vergleiche wiederhole
bitte
rappelle rappelez dis dites raconte montre explique décris résume trouve donne nomme
dime recuérdame recuerda cuéntame muéstrame muestra enumera explica explícame resume resúmeme compara encuentra dame
diga lembre lembra conte mostre resuma encontre nomeie
dimmi ricordami raccontami mostrami elenca spiega spiegami riassumi confronta trova dammi
vertel herinner noem toon vergelijk beschrijf geef
"""
OPENING = frozenset(_OPENING.split())
REQUESTING = frozenset(_REQUESTING.split())


def silent_words(words: Iterable[str]) -> frozenset[str]:
    """The words that say nothing in the language of a text, where that is one of these and clearly not English."""
    given = frozenset(words)
    counts = {name: len(given & known) for name, known in _LANGUAGES.items()}
    best = max(counts, key=lambda name: counts[name])
    return _LANGUAGES[best] if counts[best] > counts["english"] + _CLEARLY else _NOTHING
