"""Sentences with holes, and what goes into them: written for the project, so that what learns from them may ship.

A family is a list of ways to ask the same thing; its `near` are things that sound like it and are not it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """`same` ask one thing. Every line of `near` asks another. `{x}` and `{y}` are filled from the lists named."""

    fill: tuple[str, ...]
    same: tuple[str, ...]
    near: tuple[str, ...] = ()


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


def _words(text: str) -> tuple[str, ...]:
    return tuple(piece.strip() for piece in " ".join(text.split()).split(";") if piece.strip())


FILLERS: dict[str, tuple[str, ...]] = {
    "task": _words(
        """reset my password; learn to play the guitar; lose weight fast; improve my English speaking skills; start a
        small business; cook rice without a rice cooker; remove a coffee stain from a carpet; install Python
        on Windows; sort a list in Java; get rid of ants in the kitchen; train for a marathon; write a cover
        letter; fall asleep faster; grow tomatoes indoors; prepare for a job interview; merge two branches
        in Git; change a flat tyre; make money online; stop procrastinating; save money on groceries; apply
        for a student visa; convert a PDF to Word; back up my phone; open a bank account; deal with stress
        at work; make friends in a new city; build muscle at home; read a CSV file in pandas; clean a
        leather sofa; invest in the stock market; study for the final exams; publish a book; speed up my
        laptop; delete my Facebook account; gain weight; get better at chess; train a puppy; quit smoking;
        fix a leaking tap; create a website; become more confident; recover deleted photos from an iPhone;
        increase my typing speed; learn machine learning; cancel my subscription; renew my passport;
        memorise long texts; meditate properly; find a cheap flight; improve my handwriting; reverse a
        string in Python; bake bread; talk to strangers; treat a sunburn; connect a printer to my laptop;
        transfer money abroad; block a number on Android; draw a face; send a large file by email; survive
        the first week at college; teach children to read; get a job at Google"""
    ),
    "thing": _words(
        """photosynthesis; inflation; quantum entanglement; a black hole; machine learning; blockchain; the greenhouse
        effect; osmosis; compound interest; a hash table; depression; the stock market; recursion;
        artificial intelligence; anxiety; gluten; cloud computing; a mutual fund; feminism; nuclear fusion;
        cryptocurrency; insulin; the French Revolution; dark matter; cholesterol; an API; a mortgage;
        natural selection; yoga; meditation; green tea; coffee; solar energy; a vegan diet; remote work;
        electric cars; social media; homeschooling; globalisation; vitamin D; a gap year; object-oriented
        programming; a database index; the immune system; capitalism; intermittent fasting; renewable
        energy; democracy; online learning"""
    ),
    "place": _words(
        """France; Italy; Brazil; Japan; Kenya; India; Canada; Norway; Egypt; Vietnam; Peru; Poland; Texas; California;
        Berlin; Sydney; Madrid; Chicago; Mumbai; Delhi; Bangalore; London; Toronto; Singapore; Spain;
        Mexico; Germany; Turkey; Greece; Ireland"""
    ),
    "person": _words(
        """Maria; Daniel; Sarah; Kevin; Laura; Michael; Emma; Thomas; Alice; Robert; Julia; Steven; Nora; Peter; Linda;
        James; Carla; David; Helen; Victor"""
    ),
    "full": _words(
        """Maria Lopez; Daniel Fischer; Sarah Cohen; Kevin Grant; Laura Rossi; Michael Stone; Emma Clarke; Thomas Berg;
        Alice Munroe; Robert Hale; Julia Novak; Steven Park; Nora Quinn; Peter Wolf; Linda Shaw; James Reed;
        Carla Mendes; David Okoye"""
    ),
    "relation": _words(
        """capital; population; birthplace; nationality; author; director; founder; headquarters; owner; currency;
        official language; spouse; religion; producer; religion; parent company; successor; alma mater;
        cause of death; mayor; developer; publisher; manager; country; team; occupation; main ingredient;
        river mouth; length; height; religion; editor; composer; designer"""
    ),
    "entity": _words(
        """Lake Verona; the Harrow Bridge; Orion Records; the Silver Coast; Mount Delen; Northgate University; the Blue
        Lantern; Castor Airlines; the river Aven; Kestrel Motors; the Old Harbour; Marlow County; Redfield
        Studios; the Winter Garden; Solace (album); Port Ellis; the Ashdown Tunnel; The Last Orchard; Halden
        FC; Juniper Software; The Glass Valley; Rivermouth; Bergen Line; Larkspur Institute; the Penrose
        Prize; Tidewater Foods; Camber Castle; the Marsden Theatre; Elmwood High School; Vega Station"""
    ),
    "job": _words(
        """nurse; software engineer; pilot; teacher; lawyer; data scientist; chef; journalist; police officer; dentist;
        electrician; psychologist; architect; graphic designer; translator; firefighter; accountant;
        veterinarian; film director; game developer"""
    ),
    "pair": _words(
        """a virus | a bacterium; TCP | UDP; a lake | a pond; stocks | bonds; a list | a tuple; butter | margarine; a
        crocodile | an alligator; Java | JavaScript; SQL | NoSQL; an alpaca | a llama; affect | effect; a
        frog | a toad; jam | jelly; mass | weight; speed | velocity; an employee | a contractor; a process |
        a thread; empathy | sympathy; HTTP | HTTPS; wheat | barley; a router | a switch; baking soda |
        baking powder; a donkey | a mule; an LLC | a corporation; ethics | morals"""
    ),
    "brand": _words(
        """an iPhone | a Samsung phone; Python | Java; a laptop | a tablet; Netflix | Disney Plus; a diesel car | a
        petrol car; PostgreSQL | MySQL; tea | coffee; running | cycling; React | Angular; a gas stove | an
        electric stove; public school | private school; Linux | Windows; a cat | a dog; renting | buying;
        trains | buses; Canon | Nikon; Spotify | Apple Music; glass | plastic"""
    ),
    "fact": _words(
        """the sky is blue|is the sky blue; cats purr|do cats purr; leaves change colour|do leaves change colour;
        people dream|do people dream; ice floats on water|does ice float on water; the moon has phases|does
        the moon have phases; dogs bark at strangers|do dogs bark at strangers; onions make us cry|do onions
        make us cry; some people hate mathematics|do some people hate mathematics; the sea is salty|is the
        sea salty; bees make honey|do bees make honey; so many startups fail|do so many startups fail;
        planes fly so high|do planes fly so high; babies cry at night|do babies cry at night; metal feels
        cold|does metal feel cold; prices rise during a war|do prices rise during a war; men go bald|do men
        go bald; birds migrate|do birds migrate; rockets need oxygen|do rockets need oxygen; students drop
        out of college|do students drop out of college; teenagers rebel|do teenagers rebel"""
    ),
    "work": _words(
        """wrote|author|The Long Winter; wrote|writer|Echoes of Salt; directed|director|Paper Moons;
        directed|director|The Ninth Floor; founded|founder|Kestrel Motors; founded|founder|Larkspur
        Institute; invented|inventor|the hole punch; invented|inventor|the zipper; painted|painter|The
        Yellow House; composed|composer|Night Music; designed|designer|the Harrow Bridge;
        discovered|discoverer| helium; produced|producer|Redwood; developed|developer|Juniper;
        owns|owner|Castor Airlines; edited|editor|The Morning Post"""
    ),
    "verb": _words(
        """remember|remembered; trust|trusted; follow|followed; admire|admired; blame|blamed; love|loved;
        avoid|avoided; know|known; support|supported; teach|taught; miss|missed; hire|hired;
        protect|protected; respect|respected; visit|visited; hurt|hurt"""
    ),
    "trait": _words(
        """patient|impatient; polite|rude; optimistic|pessimistic; brave|cowardly; generous|selfish; honest|dishonest;
        humble|arrogant; responsible|irresponsible; confident|shy; organised|disorganised; hopeful|hopeless;
        careful|careless; active|passive; kind|cruel; tolerant|intolerant; strong|weak; happy|sad;
        calm|nervous; popular|unpopular; creative|unimaginative"""
    ),
    "age": _words("12; 15; 18; 20; 23; 25; 30; 35; 40; 45; 50; 60; 65; 70"),
    "modifier": _words(
        """real; famous; retired; licensed; successful; terrible; young; foreign; professional; female; former; rich;
        local; certified"""
    ),
    "act": _words(
        """drink tap water; smoke in public; drive at night; work on Sundays; hitchhike; tip the waiter; wear shorts in
        a church; bargain in shops; fly a drone; travel alone; jaywalk; camp on the beach; swim in the
        river; photograph strangers; use a VPN"""
    ),
}

FAMILIES: tuple[Family, ...] = (
    Family(
        ("task",),
        _lines(
            """How do I {x}?
            How can I {x}?
            How to {x}?
            What is the best way to {x}?
            What's the best way to {x}?
            How do you {x}?
            How does one {x}?
            What should I do to {x}?
            Can you tell me how to {x}?
            What are some ways to {x}?
            What are the best ways to {x}?
            How could I {x}?
            Please tell me how I can {x}.
            How should I {x}?
            What can I do to {x}?
            I want to {x}. How can I do that?
            Which is the best way to {x}?"""
        ),
        _lines(
            """Why should I {x}?
            How long does it take to {x}?
            How much does it cost to {x}?
            Should I {x}?
            How do I avoid having to {x}?
            When should I {x}?
            Where can I {x}?
            Is it hard to {x}?
            Who can help me to {x}?
            What happens if I do not {x}?
            How do I {x} without any money?
            How do I {x} when I am old?
            How can my son {x}?
            What is the worst way to {x}?
            How did you {x}?"""
        ),
    ),
    Family(
        ("thing",),
        _lines(
            """What is {x}?
            What's {x}?
            What does {x} mean?
            What do you mean by {x}?
            What is meant by {x}?
            What is the meaning of {x}?
            What is the definition of {x}?
            Define {x}.
            What exactly is {x}?"""
        ),
        _lines(
            """Why is {x} important?
            How does {x} work?
            Who invented {x}?
            What are the types of {x}?
            What is the history of {x}?
            What is an example of {x}?
            What is not {x}?
            What is the opposite of {x}?
            Is {x} dangerous?"""
        ),
    ),
    Family(
        ("thing",),
        _lines(
            """What are the advantages of {x}?
            What are the benefits of {x}?
            What are some advantages of {x}?
            What are some benefits of {x}?
            What are the pros of {x}?
            Which advantages does {x} have?
            What benefits does {x} have?"""
        ),
        _lines(
            """What are the disadvantages of {x}?
            What are the drawbacks of {x}?
            What are the cons of {x}?
            What are the risks of {x}?
            What are the causes of {x}?
            What are the effects of {x}?
            What are the side effects of {x}?
            What are the limits of {x}?"""
        ),
    ),
    Family(
        ("thing",),
        _lines(
            """How does {x} work?
            How does {x} actually work?
            Can you explain how {x} works?
            Explain how {x} works.
            In what way does {x} work?
            What is the working of {x}?"""
        ),
        _lines(
            """Why does {x} work?
            Does {x} work?
            Why does {x} not work?
            How well does {x} work?
            Who works on {x}?
            When does {x} work?"""
        ),
    ),
    Family(
        ("relation", "entity"),
        _lines(
            """What is the {x} of {y}?
            Name the {x} of {y}.
            Tell me the {x} of {y}.
            What's the {x} of {y}?
            Give me the {x} of {y}.
            What is {y}'s {x}?
            Can you tell me the {x} of {y}?
            Which is the {x} of {y}?
            Who or what is the {x} of {y}?
            {y} has which {x}?"""
        ),
        _lines(
            """How many {x}s does {y} have?
            What was the first {x} of {y}?
            What is the former {x} of {y}?
            List everything whose {x} is {y}.
            Does {y} have a {x}?
            What is the {x} of the owner of {y}?
            Count the {x}s of {y}.
            When did {y} change its {x}?"""
        ),
    ),
    Family(
        ("pair",),
        _lines(
            """What is the difference between {a} and {b}?
            What is the difference between {b} and {a}?
            What's the difference between {a} and {b}?
            What are the differences between {a} and {b}?
            What are the differences between {b} and {a}?
            How is {a} different from {b}?
            How does {a} differ from {b}?
            What is the main difference between {a} and {b}?
            What differentiates {a} from {b}?"""
        ),
        _lines(
            """What is the similarity between {a} and {b}?
            What do {a} and {b} have in common?
            Which is better, {a} or {b}?
            Is {a} the same as {b}?
            How do I turn {a} into {b}?
            How do I turn {b} into {a}?
            What is {a}?
            What is {b}?
            Is {a} more expensive than {b}?
            Is {b} more expensive than {a}?"""
        ),
    ),
    Family(
        ("brand",),
        _lines(
            """Which is better, {a} or {b}?
            Which is better: {b} or {a}?
            Which one is better, {a} or {b}?
            What is better, {a} or {b}?
            Is {a} better than {b} or the other way round?
            Should I choose {a} or {b}?"""
        ),
        _lines(
            """Which is cheaper, {a} or {b}?
            Which is older, {a} or {b}?
            Why is {a} better than {b}?
            Why is {b} better than {a}?
            Which is worse, {a} or {b}?
            How do I switch from {a} to {b}?
            How do I switch from {b} to {a}?
            Should I use both {a} and {b}?"""
        ),
    ),
    Family(
        ("fact",),
        _lines(
            """Why {b}?
            What is the reason that {a}?
            What is the reason why {a}?
            What are the reasons why {a}?
            How come {a}?
            Why is it that {a}?
            For what reason {b}?"""
        ),
        _lines(
            """When {b}?
            How often {b}?
            Is it true that {a}?
            Since when {b}?
            Where {b}?
            What happens when {a}?
            Who found out that {a}?"""
        ),
    ),
    Family(
        ("work",),
        _lines(
            """Who {a} {c}?
            Who is the {b} of {c}?
            Who was the {b} of {c}?
            Name the {b} of {c}.
            Tell me who {a} {c}.
            Who's the {b} of {c}?
            By whom was {c} {a}?"""
        ),
        _lines(
            """When was {c} {a}?
            Why was {c} {a}?
            Where was {c} {a}?
            What else did the {b} of {c} make?
            Who did not like {c}?
            Who is the wife of the {b} of {c}?
            How old was the {b} of {c}?"""
        ),
    ),
    Family(
        ("verb", "person", "person"),
        ("Does {x} {a} {y}?", "Is {y} {b} by {x}?", "Is it {x} who {a}s {y}?"),
        (
            "Does {y} {a} {x}?",
            "Is {x} {b} by {y}?",
            "Does {x} not {a} {y}?",
            "Did {x} {a} {y}?",
            "Why does {x} {a} {y}?",
            "Will {x} {a} {y}?",
        ),
    ),
    Family(
        ("trait",),
        _lines(
            """How can I become more {a}?
            How can I be more {a}?
            How do I become more {a}?
            How do I become a more {a} person?
            How can I become a {a} person?
            What can I do to become more {a}?
            How can I become less {b}?"""
        ),
        _lines(
            """How can I become less {a}?
            How can I become more {b}?
            How can I become a {b} person?
            How can I become a person who is not {a}?
            Why should I become more {a}?
            How can I help others become more {a}?
            Why am I so {a}?
            Why am I not {a}?"""
        ),
    ),
    Family(
        ("job",),
        _lines(
            """How do I become a {x}?
            How can I become a {x}?
            How to become a {x}?
            What should I do to become a {x}?
            What do I need to do to become a {x}?
            What is the best way to become a {x}?
            I want to become a {x}. What should I do?"""
        ),
        _lines(
            """How much does a {x} earn?
            Why do people become a {x}?
            What does a {x} do all day?
            How do I become a better {x}?
            How long does it take to become a {x}?
            What is it like to be a {x}?
            What was it like before becoming a {x}?
            What was it like after becoming a {x}?
            How do I find a good {x}?
            What should a {x} worry about?
            What should a {x} not worry about?"""
        ),
    ),
    Family(
        ("full", "job"),
        ("Is {x} a {y}?", "Is {x} a {y} by profession?", "Does {x} work as a {y}?"),
        (
            "Was {x} a {y}?",
            "Did {x} use to be a {y}?",
            "Is {x} not a {y}?",
            "Is {x} a {m} {y}?",
            "Will {x} be a {y}?",
            "Is {x} the only {y}?",
            "What was {x}'s life before becoming a {y}?",
            "What was {x}'s life after becoming a {y}?",
            "Is {x} a {y} or a pilot?",
            "Is {x} both a {y} and a pilot?",
            "Does {x} know a {y}?",
        ),
    ),
    Family(
        ("act", "place"),
        (
            "Is it legal to {x} in {y}?",
            "Is it allowed to {x} in {y}?",
            "Am I allowed to {x} in {y}?",
            "Can I legally {x} in {y}?",
        ),
        (
            "Is it illegal to {x} in {y}?",
            "Is it legal not to {x} in {y}?",
            "Is it safe to {x} in {y}?",
            "Is it dangerous to {x} in {y}?",
            "Why do people {x} in {y}?",
            "Was it legal to {x} in {y}?",
            "Is it legal to {x} outside {y}?",
        ),
    ),
    Family(
        ("place",),
        (
            "What are the best places to visit in {x}?",
            "Which are the best places to visit in {x}?",
            "What are some good places to visit in {x}?",
            "What are the places worth visiting in {x}?",
            "Which places should I visit in {x}?",
            "What are the best places in {x} to visit?",
        ),
        (
            "What are the best places to live in {x}?",
            "What are the worst places to visit in {x}?",
            "What are the best hotels in {x}?",
            "When is the best time to visit {x}?",
            "What are the best places to eat in {x}?",
            "What are the best places to visit near {x}?",
            "What are the best schools in {x}?",
        ),
    ),
    Family(
        ("place",),
        ("How many people live in {x}?", "What is the population of {x}?", "What's {x}'s population?"),
        ("How many people leave {x}?", "What is the area of {x}?", "How many people visit {x}?", "Who lives in {x}?"),
    ),
    Family(
        ("age", "task"),
        ("I am {x} years old. How can I {y}?", "I'm {x}. How can I {y}?", "How can I {y} at the age of {x}?"),
        ("How can I {y}?", "I am {x} years old. Should I {y}?", "Is {x} too old to {y}?", "I am {x}. Why can't I {y}?"),
    ),
    Family(
        ("task",),
        ("How long does it take to {x}?", "How much time does it take to {x}?", "How long will it take to {x}?"),
        ("How much does it cost to {x}?", "How hard is it to {x}?", "How often should I {x}?", "How soon can I {x}?"),
    ),
    Family(
        ("thing",),
        ("Is {x} good for you?", "Is {x} good or bad for you?", "Is {x} a good thing?"),
        ("Is {x} bad for you?", "Is {x} not good for you?", "Why is {x} good for you?", "Was {x} good for you?"),
    ),
)
