"""How many tokens one message, tool or answer format has for a model: the encoding's count, factors and marks.

The upper bound of a text is at most its bytes in UTF-8: every vocabulary in use falls back to bytes, so no text has
more tokens than bytes. Where the encoding is not the model's own, the bound is also at least a quarter of the
characters, because a run such as a line of "=" may be one token here and many there; and it allows for a token per
digit.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from math import ceil

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.calibrate import COLD, Calibration, doubt_of, own_share
from services.context.families import NOTHING, Factor, Family, Feature, Script, Tokens, script_of
from services.context.pictures import size_of
from services.context.tool_text import properties_of, tool_text

Encode = Callable[[str], list[int]]


class Ruler:
    """Measures for one model. Stateless and pure, given the encoding's own `encode`."""

    def __init__(
        self, encode: Encode, family: Family, model: str, calibration: Calibration = COLD, tenant: str = ""
    ) -> None:
        self._encode = encode
        self._family = family
        self._model = model
        self.calibration = calibration
        self._own = own_share(is_exact=family.is_exact)
        # What one tenant's content costs tells nothing to others.
        self._salt = blake2b(tenant.encode(), digest_size=16).digest()

    def message(self, message: chat.Message, *, is_past: bool = False) -> Tokens:
        """A message with the marks around it. `is_past`: the user has spoken after it, so its thoughts are not read."""
        instructs = float(message.role in (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER))
        answers = float(message.role == chat.ROLE_ASSISTANT)
        total = self._family.message.of(Feature.MESSAGES, 1, INSTRUCTIONS=instructs, ANSWERS=answers)
        for part in message.parts:
            total = total + self._part(part, is_past=is_past)
        if message.name:
            total = total + self._named(message.name)
        said = b"".join(part.SerializeToString(deterministic=True) for part in message.parts if not _is_large(part))
        piece = self._piece(b"%d" % message.role, said, self._doubt(total))
        counted = self.calibrated(total + piece)
        if not is_past or not total.features[Feature.PAST]:
            return counted
        # One bound, whoever spoke after it: else a window's start would move when the user asks again.
        return replace(counted, upper_bound=max(self.message(message).upper_bound, ceil(counted.estimate)))

    def _doubt(self, tokens: Tokens) -> float:
        return doubt_of(tokens.features, is_exact=self._family.is_exact)

    def _piece(self, kind: bytes, content: bytes, doubt: float) -> Tokens:
        """No tokens, but the key by which reports tell of this very content. `doubt`: how far off it may be."""
        key = blake2b(kind + b"\0" + content, digest_size=6, key=self._salt).digest()
        return Tokens(0, 0, pieces=((base64.b64encode(key).decode(), round(doubt, 2)),))

    def calibrated(self, tokens: Tokens) -> Tokens:
        """A count, calibrated by what providers reported."""
        return self.calibration.applied(tokens, is_exact=self._family.is_exact)

    def text(self, text: str) -> Tokens:
        """A text alone, without marks."""
        return self.calibrated(self._text(text))

    def tool(self, tool: chat.Tool) -> Tokens:
        """A tool's definition, in the form in which the model sees it; the bound is that of its JSON."""
        texts = self._tool_text(tool.name) + self._tool_text(tool.description)
        schema, form = self._tool_text(tool.parameters_json), self._family.tool_form
        bound = texts.upper_bound + schema.upper_bound + _TOOL.upper_bound
        if form == "json":
            total = texts.of(Feature.TOOL_TEXTS) + schema.of(Feature.TOOL_SCHEMAS) + _TOOL
        else:
            shown = self._text(tool_text(tool, form))
            total = shown.of(Feature.TOOL_TEXTS) + Tokens(0, 0).of(Feature.TOOL_SCHEMAS, schema.estimate)
        total += NOTHING.of(Feature.TOOLS, 1, PROPERTIES=float(properties_of(tool.parameters_json)))
        total = Tokens(total.estimate, max(bound, round(total.estimate)), total.features)
        return self.calibrated(
            total + self._piece(b"tool", tool.SerializeToString(deterministic=True), self._doubt(total))
        )

    def response_format(self, wanted: chat.ResponseFormat) -> Tokens:
        """The schema of the answer, which providers put into the prompt."""
        if not wanted.schema_json:
            return NOTHING
        schema = self._tool_text(wanted.name) + self._tool_text(wanted.schema_json) + _TOOL
        guess = schema.estimate if self._family.shows_schema else 0
        total = Tokens(guess, schema.upper_bound).of(Feature.ANSWER_SCHEMAS, schema.estimate, WITH_SCHEMA=1)
        content = wanted.SerializeToString(deterministic=True)
        return self.calibrated(total + self._piece(b"format", content, self._doubt(total)))

    def frame(self, conversation: chat.Conversation) -> Tokens:
        """What is there once: the start of the answer, instructions of the provider around tools and thoughts."""
        tools, choice = conversation.tools, conversation.tool_choice.mode
        forced = choice in (chat.ToolChoice.MODE_REQUIRED, chat.ToolChoice.MODE_NAMED)
        thinks = conversation.sampling.reasoning_effort > chat.REASONING_EFFORT_NONE
        instructs = any(message.role in _INSTRUCTING for message in conversation.messages[:2])
        total = self._family.conversation.of(
            Feature.CONVERSATIONS, 1, FORCED=float(forced), THINKING=float(thinks), WITH_INSTRUCTIONS=float(instructs)
        )
        if tools:
            total = total + self._family.with_tools.of(Feature.WITH_TOOLS, 1)
        names = ",".join(sorted(tool.name for tool in tools))
        said = f"{names}\0{choice}\0{thinks}\0{conversation.response_format.kind}\0{conversation.vendor_options_json}"
        return self.calibrated(total + self._piece(b"frame", said.encode(), self._doubt(total)))

    def _part(self, part: chat.Part, *, is_past: bool = False) -> Tokens:
        kind = part.WhichOneof("content")
        content = NOTHING
        if kind == "text":
            content = self._said(part.text, is_past=is_past)
        elif kind == "image":
            content = self._image(part)
        elif kind == "document":
            content = self._document(part)
        elif kind == "tool_call":
            content = self._tool_call(part.tool_call)
        elif kind == "tool_result":
            content = self._tool_result(part.tool_result)
        elif kind == "reasoning":
            content = self._thought(self._text(part.reasoning.text), Feature.THOUGHTS, is_past=is_past)
        elif kind == "refusal":
            content = self._text(part.refusal)
        return content + self._signature(part, is_past=is_past) if part.HasField("signature") else content

    def _said(self, text: str, *, is_past: bool) -> Tokens:
        thought, end, rest = text.partition(_END_OF_THOUGHT)
        if not (is_past and end and self._family.drops_think):
            return self._text(text)
        return self._thought(self._text(thought + end), Feature.THOUGHTS, is_past=True) + self._text(rest)

    def _thought(self, tokens: Tokens, feature: Feature, *, is_past: bool) -> Tokens:
        """Thoughts: providers drop those of earlier turns, or read none; the bound knows that some models keep them."""
        if is_past or not self._family.counts_thoughts:
            return Tokens(0, tokens.upper_bound).of(Feature.PAST, tokens.estimate)
        return tokens.of(feature)

    def _image(self, part: chat.Part) -> Tokens:
        image = part.image
        size = size_of(image.data) if image.WhichOneof("source") == "data" else None
        total = Tokens(*self._family.image.tokens(size, image.detail)).of(Feature.PICTURES, None, IMAGES=1)
        doubt = self._own * total.estimate * (_PICTURE if size is None else _SIZED_PICTURE)
        return total + self._piece(b"image", image.data or image.remote_uri.encode(), doubt)

    def _tool_call(self, call: chat.ToolCall) -> Tokens:
        texts = (self._tool_text(call.name) + self._tool_text(call.arguments_json)).of(Feature.CALL_TEXTS)
        return texts + self._id(call.id) + _CALL.of(Feature.CALLS, 1)

    def _id(self, text: str) -> Tokens:
        """An id of a call. Few providers show them to the model: they are in the bound, and what is reported tells."""
        counted = self._tool_text(text)
        return Tokens(0, counted.upper_bound).of(Feature.CALL_IDS, counted.estimate)

    def _tool_result(self, result: chat.ToolResult) -> Tokens:
        names = self._id(result.tool_call_id) + self._id(result.name)
        return names + sum(map(self._part, result.parts), _RESULT.of(Feature.RESULTS, 1))

    def _document(self, part: chat.Part) -> Tokens:
        document = part.document
        named = self._text(document.name)
        if document.media_type.startswith("text/") or document.media_type == "application/json":
            return named + self._text(document.data.decode("utf-8", "replace"))
        page, is_here = self._family.page, document.WhichOneof("source") == "data"
        if is_here:
            # Nobody knows what a provider reads in a PDF without reading it. Its text is packed by a factor of 3 to 4,
            # and a token has about 4 characters: about a token per byte is the most that text can be.
            pages = max(len(_PAGE_OBJECT.findall(document.data)), 1)
            bound = max(len(document.data), page.upper_bound * pages)
        else:
            pages, bound = 1, _REMOTE_BOUND
        total = Tokens(page.estimate * pages, bound).of(Feature.PAGES, None, FILES=1)
        return (
            named
            + total
            + self._piece(b"file", document.data or document.remote_uri.encode(), self._own * total.estimate * _FILE)
        )

    def _signature(self, part: chat.Part, *, is_past: bool) -> Tokens:
        # Goes only to the model that made it. It is often the encrypted thoughts, which then count.
        if part.signature.origin_model != self._model:
            return NOTHING
        size = len(part.signature.value.encode())
        if part.reasoning.text and not part.reasoning.redacted:
            return Tokens(0, size)  # the thoughts themselves are there
        envelope, per_token = self._family.hidden
        guess = max(0, round((size - envelope) / per_token))
        return self._thought(Tokens(guess, size), Feature.HIDDEN, is_past=is_past)

    def _named(self, name: str) -> Tokens:
        return self._text(name) + Tokens(1, 1)

    def _text(self, text: str) -> Tokens:
        return self._measured(text, None)

    def _tool_text(self, text: str) -> Tokens:
        return self._measured(text, self._family.tools)

    def _measured(self, text: str, tools: Factor | None) -> Tokens:
        if not text:
            return NOTHING
        count, cuts = encoded_length(text, self._encode)
        size = len(text) if text.isascii() else len(text.encode())
        script = script_of(text, size)
        feature = _FEATURES[script] if script is not Script.ASCII or not _is_code(text) else Feature.CODE
        runs = _NUMBER.findall(text)
        digits = {"DIGITS": float(sum(len(run) - ceil(len(run) / 3) for run in runs)), "NUMBERS": float(len(runs))}
        if self._family.is_exact:
            return Tokens(count, min(size, count + cuts * _TOKENS_PER_CUT)).of(feature, None, **digits)
        factor = self._family.scripts[script]
        guess, safe = factor.estimate, factor.safe
        if tools is not None:
            guess, safe = max(guess, tools.estimate), max(safe, tools.safe)
        bound = ceil((count + cuts * _TOKENS_PER_CUT) * safe + _digits(text) * _MORE_PER_DIGIT)
        upper = min(size, max(bound, ceil(len(text) / _CHARACTERS_PER_TOKEN)))
        return Tokens(min(upper, round(count * guess)), upper).of(feature, None, **digits)


def encoded_length(text: str, encode: Encode) -> tuple[int, int]:
    """(tokens, cuts): how many tokens the encoding makes of the text, and how often it was cut to find out.

    Byte-pair encoding is slow on long runs without a break between words, so a text that has one is encoded in slices.
    A cut can change the count by a little in either direction; an upper bound must allow for it.
    """
    if len(text) <= _LONGEST_RUN or not _LONG_RUN.search(text):
        return len(encode(text)), 0
    slices = range(0, len(text), _LONGEST_RUN)
    return sum(len(encode(text[at : at + _LONGEST_RUN])) for at in slices), len(slices) - 1


def _is_code(text: str) -> bool:
    """Whether a text has as many brackets and the like as code and JSON have."""
    return sum(map(text.count, '{}[]()<>=;"_')) > _CODE_SIGNS * len(text)


def _is_large(part: chat.Part) -> bool:
    """Whether reports tell of a part by itself."""
    return part.HasField("image") or part.HasField("document")


def _digits(text: str) -> int:
    return sum(map(text.count, "0123456789"))


_FEATURES = {
    Script.ASCII: Feature.ASCII,
    Script.LATIN: Feature.LATIN,
    Script.TWO_BYTES: Feature.TWO_BYTES,
    Script.THREE_BYTES: Feature.THREE_BYTES,
}
# Prose has up to 0.02 of them per character, JSON and code 0.06 and more.
_CODE_SIGNS = 0.04
_LONGEST_RUN = 2_000
# The look-behind makes it linear: a run is tried from its start only.
_LONG_RUN = re.compile(rf"(?<!\S)\S{{{_LONGEST_RUN + 1}}}|(?<!\s)\s{{{_LONGEST_RUN + 1}}}")
# Measured on runs of 16 kinds in both encodings: slices have at most 0.25 tokens per cut fewer than the whole.
_TOKENS_PER_CUT = 4

# OpenAI's vocabularies take three digits at once; Gemma's, Qwen's and Llama 2's make a token of each.
_MORE_PER_DIGIT = 2 / 3
_CHARACTERS_PER_TOKEN = 4

# What stands around a tool's definition, a call and a result.
_TOOL, _CALL, _RESULT = Tokens(9, 9), Tokens(4, 9), Tokens(4, 9)
# A file that only the provider fetches may have ten pages, and is mostly one of the first few that fit.
_REMOTE_BOUND = 30_000
# How many times more a picture or a file may be off by itself than its kind.
_SIZED_PICTURE, _PICTURE, _FILE = 1, 5, 10
_PAGE_OBJECT = re.compile(rb"/Type\s*/Page\b")
_END_OF_THOUGHT = "</think>"
_INSTRUCTING = (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER)
_NUMBER = re.compile(r"[0-9]+")
