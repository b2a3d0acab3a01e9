"""Which vocabulary a model's tokens are counted with, and how far its own count may be from that.

Only OpenAI's vocabularies are here, so only its models are counted exactly. For the others o200k_base counts and two
factors follow: one for the estimate, and a safe one for the upper bound. One factor per model cannot work, because the
script decides; so a factor stands for a script class, and tool definitions and calls have their own.

Where the factors come from: token counts of the same texts relative to o200k_base (English, code and JSON 0.99 to 1.30,
German 1.24 to 1.72, Russian 1.30 to 2.04, Arabic 1.21 to 2.83, Chinese 0.87 to 2.15, by vocabulary), and for Claude its
reported usage: 18 to 39 % more for text than tiktoken counts, 1.9 to 2.9 times for tools. They are cold values, to be
replaced by what providers report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from operator import add

from services.context.image_tokens import Picture, area, flat, merged, patches, tiles
from services.context.ranks import CL100K, O200K
from services.context.tool_text import Form


class Feature(IntEnum):
    """Of what a count is made, as far as providers may count it otherwise than we do (calibrate.py)."""

    # How many tokens of the estimate are of this kind of content.
    ASCII = 0
    CODE = 1
    LATIN = 2
    TWO_BYTES = 3
    THREE_BYTES = 4
    DIGITS = 5  # more tokens, were each digit one
    NUMBERS = 6  # runs of digits
    CALL_TEXTS = 7  # names and arguments
    CALL_IDS = 8
    TOOL_TEXTS = 9  # names and descriptions
    TOOL_SCHEMAS = 10
    ANSWER_SCHEMAS = 11
    THOUGHTS = 12  # of the turn that is going on
    HIDDEN = 13  # the same, where nobody sees them: signatures
    PAST = 14  # thoughts, seen or not, of turns before the question
    PICTURES = 15
    PAGES = 16
    # How many there are.
    CONVERSATIONS = 17
    WITH_TOOLS = 18
    TOOLS = 19
    PROPERTIES = 20
    MESSAGES = 21
    INSTRUCTIONS = 22
    ANSWERS = 23
    CALLS = 24
    RESULTS = 25
    IMAGES = 26
    FILES = 27
    WITH_SCHEMA = 28
    FORCED = 29  # tools that must be called
    THINKING = 30  # asked to think
    WITH_INSTRUCTIONS = 31


NO_FEATURES = (0.0,) * len(Feature)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A number of tokens: our best guess, and what the provider will not count beyond. `features`: a figure each.

    `pieces`: a key for each piece of content that was counted, within its tenant, and how far off it may be by itself.
    """

    estimate: float
    upper_bound: int
    features: tuple[float, ...] = field(default=NO_FEATURES, compare=False, repr=False)
    pieces: tuple[tuple[str, float], ...] = field(default=(), compare=False, repr=False)

    def __add__(self, other: Tokens) -> Tokens:
        features = self.features
        if other.features is not NO_FEATURES:
            features = tuple(map(add, features, other.features)) if features is not NO_FEATURES else other.features
        pieces = self.pieces + other.pieces if other.pieces else self.pieces
        return Tokens(self.estimate + other.estimate, self.upper_bound + other.upper_bound, features, pieces)

    def of(self, feature: Feature, amount: float | None = None, **more: float) -> Tokens:
        """The same as one feature: its estimate, or an amount; `more` are others by their names."""
        features = list(NO_FEATURES)
        features[feature] = self.estimate if amount is None else amount
        for name, value in more.items():
            features[Feature[name]] = value
        return Tokens(self.estimate, self.upper_bound, tuple(features))


NOTHING = Tokens(0, 0)


class Script(Enum):
    """How a text is written, as far as its bytes per character tell."""

    ASCII = "ascii"  # code and JSON in it are told apart for calibration only
    LATIN = "latin"  # few letters beyond ASCII: German, French, English with an emoji
    TWO_BYTES = "two_bytes"  # Cyrillic, Greek, Arabic, Hebrew
    THREE_BYTES = "three_bytes"  # Chinese, Japanese, Korean, Indic, Thai, emoji


@dataclass(frozen=True, slots=True)
class Factor:
    """By what a count of the encoding is multiplied."""

    estimate: float
    safe: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models that count alike. `is_exact`: the encoding is their own, so factors are 1 and no reserve is needed."""

    encoding: str
    is_exact: bool
    scripts: dict[Script, Factor]
    tools: Factor
    conversation: Tokens  # the start of the answer, and what a chat template adds once
    message: Tokens  # the marks around a message and the word for its role
    with_tools: Tokens  # instructions that the provider adds once there are tools
    image: Picture
    page: Tokens  # of a file
    # Whether thoughts of the turn that is going on count when they are sent back; those of earlier turns never do.
    counts_thoughts: bool = True
    # Whether the template of the model drops what stands before "</think>" in earlier answers.
    drops_think: bool = False
    # Whether the schema of an answer stands in the prompt; else it only guides what is drawn.
    shows_schema: bool = True
    # Of thoughts that nobody sees: bytes of the proof around them, and bytes for each of their tokens.
    hidden: tuple[float, float] = (0, 4)
    # How the model sees a tool (tool_text.py).
    tool_form: Form = "json"


# A page of a PDF: its text, and where the provider shows the model the page too, a picture. The bound is that of a
# dense page and a large picture.
_PAGE = Tokens(1_000, 3_000)
_OPENAI_PAGE = Tokens(500, 3_000)
_CLAUDE_PAGE = Tokens(2_200, 5_000)
_GEMINI_PAGE = Tokens(258, 3_000)


def family_of(model: str) -> Family:
    """The family of a concrete model id ("gpt-5", "openai/gpt-4o", "qwen2.5:7b"); for unknown ones the widest."""
    name = model.lower()
    return next((family for pattern, family in _FAMILIES if pattern.search(name)), _OTHER)


def family_name(model: str) -> str:
    """Whose reports tell of this model: its vendor's line ("claude", "gpt", "mistral"), the first letters of its id."""
    name = model.lower()
    known = next((line for line in _LINES if line in name), "")
    return known or _LETTERS.sub("", name.rsplit("/", 1)[-1])[:32]


# Where the first letters are not the line: "chatgpt-4o", "codellama", "deepseek-r1-distill-llama".
_LINES = ("gpt-oss", "gpt", "claude", "gemini", "gemma", "llama", "qwen", "kimi", "deepseek", "mistral", "grok", "glm")
_LETTERS = re.compile(r"[^a-z].*$", re.DOTALL)


def script_of(text: str, size: int) -> Script:
    """The script class of a text of `size` bytes in UTF-8."""
    if size == len(text):
        return Script.ASCII
    ratio = size / len(text)
    if ratio <= _LATIN_BYTES:
        return Script.LATIN
    return Script.TWO_BYTES if ratio <= _TWO_BYTES else Script.THREE_BYTES


# Bytes per character. German is at 1.02, Czech at 1.12; Russian and Arabic prose at 1.8; Chinese at 2.7 and more.
_LATIN_BYTES, _TWO_BYTES = 1.15, 2.2


def _scripts(ascii_: Factor, latin: Factor, two_bytes: Factor, three_bytes: Factor) -> dict[Script, Factor]:
    return {
        Script.ASCII: ascii_,
        Script.LATIN: latin,
        Script.TWO_BYTES: two_bytes,
        Script.THREE_BYTES: three_bytes,
    }


def _openai(encoding: str = O200K, *, image: Picture, conversation: Tokens = Tokens(3, 3)) -> Family:
    one = Factor(1.0, 1.0)
    return Family(
        encoding=encoding,
        is_exact=True,
        scripts=_scripts(one, one, one, one),
        tools=one,
        # 3 around a message, as in OpenAI's cookbook and litellm's token_counter, and 1 for the role's own word,
        # which both count as text; 3 start the answer.
        message=Tokens(4, 4),
        conversation=conversation,
        with_tools=_OPENAI_TOOLS,
        image=image,
        page=_OPENAI_PAGE,
        # Measured: 1,016 bytes for 64 tokens, 2,700 for 260, 6,200 for 700.
        hidden=(800, 7.3),
        tool_form="typescript",
    )


def _gemini(image: Picture, page: Tokens) -> Family:
    return _foreign(
        _scripts(Factor(1.05, 1.3), Factor(1.1, 1.45), Factor(1.1, 1.7), Factor(1.0, 1.5)),
        tools=Factor(1.1, 1.6),
        with_tools=Tokens(2, 256),
        image=image,
        page=page,
        drops_think=False,
        tool_form="words",
        hidden=(0, 4.7),
        message=Tokens(0, 8),
        conversation=Tokens(0, 32),
    )


def _foreign(
    scripts: dict[Script, Factor],
    *,
    tools: Factor,
    with_tools: Tokens,
    image: Picture,
    page: Tokens = _PAGE,
    counts_thoughts: bool = True,
    drops_think: bool = True,
    tool_form: Form = "json",
    hidden: tuple[float, float] = (0, 4),
    shows_schema: bool = False,
    message: Tokens = Tokens(4, 8),
    conversation: Tokens = Tokens(3, 32),
) -> Family:
    return Family(
        encoding=O200K,
        is_exact=False,
        scripts=scripts,
        tools=tools,
        # Chat templates put up to 6 marks around a message, and some a default system prompt in front.
        message=message,
        conversation=conversation,
        with_tools=with_tools,
        image=image,
        page=page,
        counts_thoughts=counts_thoughts,
        drops_think=drops_think,
        tool_form=tool_form,
        hidden=hidden,
        shows_schema=shows_schema,
    )


# The most that any picture takes; small OpenAI models multiply their patches, gpt-4o-mini has its own price per tile.
# Models behind gateways may be larger than their vendor says.
_OPENAI_IMAGE = Picture(tiles(85, 170), 1_536)
_GPT_5_IMAGE = Picture(tiles(70, 140), 1_536)
_MINI_IMAGE = Picture(patches(1.62), 3_779)
_NANO_IMAGE = Picture(patches(2.46), 3_779)
_GPT_4O_MINI_IMAGE = Picture(tiles(2_833, 5_667), 2_833 + 8 * 5_667)
_CLAUDE_IMAGE = Picture(area, 5_000)
_GEMINI_IMAGE = Picture(flat(258), 5_000)
_GEMINI_3_IMAGE = Picture(flat(1_090), 5_000)
_MERGED_IMAGE = Picture(merged(28, 1_540), 5_000)

# Instructions around tools: Anthropic documents 159 to 530 tokens by model; open models' templates have fewer.
_CLAUDE_TOOLS = Tokens(440, 700)
_TEMPLATE_TOOLS = Tokens(128, 256)
# "# Tools", the namespace and its end.
_OPENAI_TOOLS = Tokens(15, 110)

_CLAUDE = _foreign(
    _scripts(Factor(1.1, 1.5), Factor(1.3, 1.75), Factor(2.3, 2.9), Factor(1.5, 2.0)),
    tools=Factor(1.7, 2.9),
    with_tools=_CLAUDE_TOOLS,
    image=_CLAUDE_IMAGE,
    page=_CLAUDE_PAGE,
    drops_think=False,
    shows_schema=True,
)
_LLAMA = _foreign(
    _scripts(Factor(1.1, 1.35), Factor(1.3, 1.5), Factor(1.9, 2.9), Factor(1.6, 2.2)),
    tools=Factor(1.2, 1.5),
    with_tools=_TEMPLATE_TOOLS,
    image=_MERGED_IMAGE,
)
# Vocabularies of 150,000 tokens that grew out of cl100k_base with more Chinese.
_QWEN_AND_KIMI = _foreign(
    _scripts(Factor(1.05, 1.25), Factor(1.3, 1.5), Factor(1.8, 2.4), Factor(1.1, 1.7)),
    tools=Factor(1.1, 1.5),
    with_tools=_TEMPLATE_TOOLS,
    image=_MERGED_IMAGE,
)
_DEEPSEEK = _foreign(
    _scripts(Factor(1.05, 1.2), Factor(1.24, 1.45), Factor(1.26, 1.6), Factor(0.9, 1.2)),
    tools=Factor(1.05, 1.4),
    with_tools=_TEMPLATE_TOOLS,
    image=_MERGED_IMAGE,
)
# A vocabulary of 262,000 tokens, as wide as o200k_base; not measured, hence the reserve.
_GEMINI = _gemini(_GEMINI_IMAGE, _GEMINI_PAGE)
_GEMINI_3 = _gemini(_GEMINI_3_IMAGE, Tokens(560, 3_000))
_MISTRAL = _foreign(
    _scripts(Factor(1.1, 1.5), Factor(1.2, 1.75), Factor(1.6, 2.9), Factor(1.3, 2.2)),
    tools=Factor(1.3, 2.9),
    with_tools=Tokens(8, 256),
    image=_MERGED_IMAGE,
)
# The widest of all that were measured.
_OTHER = _foreign(
    _scripts(Factor(1.15, 1.5), Factor(1.4, 1.75), Factor(1.9, 2.9), Factor(1.5, 2.2)),
    tools=Factor(1.5, 2.9),
    with_tools=_TEMPLATE_TOOLS,
    image=_MERGED_IMAGE,
)

# The first that is found in the id. A distilled model ("deepseek-r1-distill-llama") counts with its body's vocabulary,
# so bodies come before DeepSeek.
_START = r"(?:^|[/:.@])"
_FAMILIES = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (_START + r"(?:chat)?gpt-4o-mini", _openai(image=_GPT_4O_MINI_IMAGE)),
        # Behind open servers its template brings a system prompt of its own.
        (_START + r"gpt-oss", _openai(image=_OPENAI_IMAGE, conversation=Tokens(3, 160))),
        (_START + r"(?:gpt-(?:4\.\d|5)|o\d).*-mini\b", _openai(image=_MINI_IMAGE)),
        (_START + r"(?:gpt-(?:4\.\d|5)|o\d).*-nano\b", _openai(image=_NANO_IMAGE)),
        (_START + r"(?:gpt-4(?![\w.])|gpt-3\.?5)", _openai(CL100K, image=_OPENAI_IMAGE)),
        (_START + r"gpt-5", _openai(image=_GPT_5_IMAGE)),
        (_START + r"(?:(?:chat)?gpt-[45]|o\d+\b)", _openai(image=_OPENAI_IMAGE)),
        (r"claude", _CLAUDE),
        (r"llama", _LLAMA),
        (r"qwen|qwq|kimi|moonshot", _QWEN_AND_KIMI),
        (r"deepseek", _DEEPSEEK),
        (r"mistral|mixtral|ministral|magistral|pixtral|codestral|devstral", _MISTRAL),
        (r"gemini-3", _GEMINI_3),
        (r"gemini|gemma", _GEMINI),
    )
)
