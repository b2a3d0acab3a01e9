"""Pairs of words that turn an answer into another one. Written for the project.

What `wording` counts as a denial (without, never) is not among them: it would count twice.
"""

from __future__ import annotations

from services.cache.wording import stem

_PAIRS = """
before after; more less; most least; increase decrease; buy sell; open close; start stop; begin end; start end;
first last; up down; high low; higher lower; highest lowest; best worst; better worse; good bad;
good evil; big small; large small; biggest smallest; largest smallest; long short; longest shortest; fast slow;
fastest slowest; hot cold; rich poor; strong weak; happy sad; love hate; like dislike; gain lose; gain loss;
profit loss; win lose; accept reject; allow forbid; allow deny; enable disable; include exclude; included excluded;
import export; upload download; push pull; lend borrow; deposit withdraw; credit debit; call put; bull bear;
bullish bearish; hedge speculate; invest divest; add remove; add delete; create delete; install uninstall;
lock unlock; block unblock; follow unfollow; connect disconnect; subscribe unsubscribe; activate deactivate;
encrypt decrypt; encode decode; serialize deserialize; attach detach; join leave; male female; man woman; men women;
boy girl; husband wife; father mother; dad mom; brother sister; son daughter; king queen; young old; new old;
early late; earlier later; earliest latest; old modern; ancient modern; past future; morning evening; day night;
left right; north south; east west; top bottom; front back; inside outside; above below; over under; in out; on off;
true false; yes no; right wrong; legal illegal; safe dangerous; possible impossible; ok dangerous; healthy unhealthy;
public private; free paid; hard easy; difficult easy; simple complex; full empty; wet dry; dark light; black white;
dead alive; positive negative; plus minus; minimum maximum; min max; multiply divide; ascending descending;
often rarely; mandatory optional; required optional; online offline; indoor outdoor;
domestic international; internal external; local remote; asleep awake; import expel; hire fire; give take;
send receive; come go; arrive depart; arrival departure; enter exit; rise fall; success failure; succeed fail;
pass fail; friend enemy; war peace; peaceful violent; optimistic pessimistic; hopeful hopeless; powerful powerless;
careful careless; polite rude; honest dishonest; patient impatient; active passive; active inactive;
responsible irresponsible; rational irrational; visible invisible; regular irregular; secure insecure;
certain uncertain; traditional roth; checking savings; inherited gifted; withdrawal deposit; ordinary capital;
fixed variable; mutable immutable; standard premium; gross net; wholesale retail; liberal conservative;
democrat republican; hindu muslim; ios android; mac windows; same different; similar different; alike different;
advantage disadvantage; pros cons; cause effect; question answer; heat cool; encourage discourage; agree disagree;
trust distrust; attack defend; offense defense; export import; gain reduce; grow shrink; widen narrow; thick thin;
fat thin; heavy light; heavier lighter; deep shallow; wide narrow; tall short; taller shorter; loud quiet;
sunrise sunset; winter summer; spring autumn; breakfast dinner; introvert extrovert; introverted extroverted;
theist atheist; guilty innocent; shy confident; brave cowardly; humble arrogant; modest arrogant; kind cruel;
generous selfish; lazy hardworking; smart stupid; intelligent stupid; clean dirty; fresh stale; sweet sour;
raw cooked; single married; majority minority; expensive cheap
"""

# Both directions.
ANTONYMS: frozenset[tuple[str, str]] = frozenset(
    (stem(a), stem(b))
    for pair in _PAIRS.replace("\n", " ").split(";")
    for a, b in (pair.split(), reversed(pair.split()))
)
