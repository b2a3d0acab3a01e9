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

from services.context.ranks import CL100K, O200K


class Feature(IntEnum):
    """Of what a count is made, as far as providers may count it otherwise than we do (calibrate.py)."""

    # How many tokens of the estimate are of this kind of content.
    ASCII = 0
    CODE = 1
    LATIN = 2
    TWO_BYTES = 3
    THREE_BYTES = 4
    CALL_TEXTS = 5  # names and arguments
    CALL_IDS = 6
    TOOL_TEXTS = 7  # names and descriptions
    TOOL_SCHEMAS = 8
    ANSWER_SCHEMAS = 9
    HIDDEN = 10  # signatures and thoughts that nobody sees
    # How many there are.
    CONVERSATIONS = 11
    WITH_TOOLS = 12
    TOOLS = 13
    PROPERTIES = 14
    MESSAGES = 15
    INSTRUCTIONS = 16
    CALLS = 17
    RESULTS = 18
    IMAGES = 19
    FILES = 20


NO_FEATURES = (0.0,) * len(Feature)


@dataclass(frozen=True, slots=True)
class Tokens:
    """A number of tokens: our best guess, and what the provider will not count beyond. `features`: a figure each."""

    estimate: float
    upper_bound: int
    features: tuple[float, ...] = field(default=NO_FEATURES, compare=False, repr=False)

    def __add__(self, other: Tokens) -> Tokens:
        features = self.features
        if other.features is not NO_FEATURES:
            features = tuple(map(add, features, other.features)) if features is not NO_FEATURES else other.features
        return Tokens(self.estimate + other.estimate, self.upper_bound + other.upper_bound, features)

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
    image: Tokens


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


def _openai(encoding: str = O200K, *, image: Tokens, conversation: Tokens = Tokens(3, 3)) -> Family:
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
        with_tools=NOTHING,
        image=image,
    )


def _foreign(scripts: dict[Script, Factor], *, tools: Factor, with_tools: Tokens, image: Tokens) -> Family:
    return Family(
        encoding=O200K,
        is_exact=False,
        scripts=scripts,
        tools=tools,
        # Chat templates put up to 6 marks around a message, and some a default system prompt in front.
        message=Tokens(4, 8),
        conversation=Tokens(3, 32),
        with_tools=with_tools,
        image=image,
    )


# What a picture costs is unknown without decoding it, which this service does not do. OpenAI: 85 + 170 per tile of 512
# px after scaling into 2,048 px with a short side of 768 px. 1,024 px square has 4 tiles: 765, our estimate. A common
# tall picture has 6: 1,105; the longest that scaling leaves has 8: 1,445; models that count patches stop at 1,536. So
# 1,536 is the bound. Small models multiply their patches, by up to 2.46; gpt-4o-mini has its own price per tile.
_OPENAI_IMAGE = Tokens(765, 1_536)
_OPENAI_SMALL_IMAGE = Tokens(1_660, 3_779)
_GPT_4O_MINI_IMAGE = Tokens(2_833 + 4 * 5_667, 2_833 + 8 * 5_667)
# Elsewhere the formula depends on the model: Gemini 258 per tile of 768 px, Claude about one per 750 px up to 1,600 and
# three times that where larger pictures are allowed.
_FOREIGN_IMAGE = Tokens(1_105, 5_000)

# Instructions around tools: Anthropic documents 159 to 530 tokens by model; open models' templates have fewer.
_CLAUDE_TOOLS = Tokens(346, 530)
_TEMPLATE_TOOLS = Tokens(128, 256)

_CLAUDE = _foreign(
    _scripts(Factor(1.3, 1.5), Factor(1.5, 1.75), Factor(2.3, 2.9), Factor(1.5, 2.0)),
    tools=Factor(2.3, 2.9),
    with_tools=_CLAUDE_TOOLS,
    image=_FOREIGN_IMAGE,
)
_LLAMA = _foreign(
    _scripts(Factor(1.1, 1.35), Factor(1.3, 1.5), Factor(1.9, 2.9), Factor(1.6, 2.2)),
    tools=Factor(1.2, 1.5),
    with_tools=_TEMPLATE_TOOLS,
    image=_FOREIGN_IMAGE,
)
# Vocabularies of 150,000 tokens that grew out of cl100k_base with more Chinese.
_QWEN_AND_KIMI = _foreign(
    _scripts(Factor(1.05, 1.25), Factor(1.3, 1.5), Factor(1.8, 2.4), Factor(1.1, 1.7)),
    tools=Factor(1.1, 1.5),
    with_tools=_TEMPLATE_TOOLS,
    image=_FOREIGN_IMAGE,
)
_DEEPSEEK = _foreign(
    _scripts(Factor(1.05, 1.2), Factor(1.24, 1.45), Factor(1.26, 1.6), Factor(0.9, 1.2)),
    tools=Factor(1.05, 1.4),
    with_tools=_TEMPLATE_TOOLS,
    image=_FOREIGN_IMAGE,
)
# A vocabulary of 262,000 tokens, as wide as o200k_base; not measured, hence the reserve.
_GEMINI = _foreign(
    _scripts(Factor(1.05, 1.3), Factor(1.1, 1.45), Factor(1.1, 1.7), Factor(1.0, 1.5)),
    tools=Factor(1.1, 1.6),
    with_tools=_TEMPLATE_TOOLS,
    image=_FOREIGN_IMAGE,
)
# The widest of all that were measured.
_OTHER = _foreign(
    _scripts(Factor(1.15, 1.5), Factor(1.4, 1.75), Factor(1.9, 2.9), Factor(1.5, 2.2)),
    tools=Factor(1.5, 2.9),
    with_tools=_TEMPLATE_TOOLS,
    image=_FOREIGN_IMAGE,
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
        (_START + r"(?:gpt-(?:4\.\d|5)|o\d).*-(?:mini|nano)\b", _openai(image=_OPENAI_SMALL_IMAGE)),
        (_START + r"(?:gpt-4(?![\w.])|gpt-3\.?5)", _openai(CL100K, image=_OPENAI_IMAGE)),
        (_START + r"(?:(?:chat)?gpt-[45]|o\d+\b)", _openai(image=_OPENAI_IMAGE)),
        (r"claude", _CLAUDE),
        (r"llama", _LLAMA),
        (r"qwen|qwq|kimi|moonshot", _QWEN_AND_KIMI),
        (r"deepseek", _DEEPSEEK),
        (r"gemini|gemma", _GEMINI),
    )
)
