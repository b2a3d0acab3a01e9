"""How many tokens one message, tool or answer format has for a model: the encoding's count, factors and marks.

The upper bound of a text is at most its bytes in UTF-8: every vocabulary in use falls back to bytes, so no text has
more tokens than bytes. Where the encoding is not the model's own, the bound is also at least a quarter of the
characters, because a run such as a line of "=" may be one token here and many there; and it allows for a token per
digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import ceil

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.calibrate import COLD, Calibration
from services.context.families import NOTHING, Factor, Family, Feature, Script, Tokens, script_of

Encode = Callable[[str], list[int]]


class Ruler:
    """Measures for one model. Stateless and pure, given the encoding's own `encode`."""

    def __init__(self, encode: Encode, family: Family, model: str, calibration: Calibration = COLD) -> None:
        self._encode = encode
        self._family = family
        self._model = model
        self.calibration = calibration

    def message(self, message: chat.Message) -> Tokens:
        """A message with the marks around it."""
        instructs = float(message.role in (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER))
        total = self._family.message.of(Feature.MESSAGES, 1, INSTRUCTIONS=instructs) + self._parts(message.parts)
        return self.calibrated(total + self._named(message.name) if message.name else total)

    def calibrated(self, tokens: Tokens) -> Tokens:
        """A count, calibrated by what providers reported."""
        return self.calibration.applied(tokens, is_exact=self._family.is_exact)

    def text(self, text: str) -> Tokens:
        """A text alone, without marks."""
        return self.calibrated(self._text(text))

    def tool(self, tool: chat.Tool) -> Tokens:
        """A tool's definition. 9 for what stands around it, as in litellm's token_counter."""
        texts = (self._tool_text(tool.name) + self._tool_text(tool.description)).of(Feature.TOOL_TEXTS)
        schema = self._tool_text(tool.parameters_json).of(Feature.TOOL_SCHEMAS)
        properties = float(tool.parameters_json.count('"type"'))
        return self.calibrated(texts + schema + _TOOL.of(Feature.TOOLS, 1, PROPERTIES=properties))

    def response_format(self, wanted: chat.ResponseFormat) -> Tokens:
        """The schema of the answer, which providers put into the prompt."""
        if not wanted.schema_json:
            return NOTHING
        schema = self._tool_text(wanted.name) + self._tool_text(wanted.schema_json) + _TOOL
        return self.calibrated(schema.of(Feature.ANSWER_SCHEMAS))

    def _parts(self, parts: Iterable[chat.Part]) -> Tokens:
        total = NOTHING
        for part in parts:
            total = total + self._part(part)
        return total

    def _part(self, part: chat.Part) -> Tokens:
        kind = part.WhichOneof("content")
        content = NOTHING
        if kind == "text":
            content = self._text(part.text)
        elif kind == "image":
            content = self._family.image.of(Feature.IMAGES, 1)
        elif kind == "document":
            content = self._document(part.document)
        elif kind == "tool_call":
            content = self._tool_call(part.tool_call)
        elif kind == "tool_result":
            content = self._tool_result(part.tool_result)
        elif kind == "reasoning":
            content = self._text(part.reasoning.text)
        elif kind == "refusal":
            content = self._text(part.refusal)
        return content + self._signature(part) if part.HasField("signature") else content

    def _tool_call(self, call: chat.ToolCall) -> Tokens:
        # Ids are counted although some providers leave them out: it is not documented who does.
        texts = (self._tool_text(call.name) + self._tool_text(call.arguments_json)).of(Feature.CALL_TEXTS)
        return texts + self._tool_text(call.id).of(Feature.CALL_IDS) + _TOOL.of(Feature.CALLS, 1)

    def _tool_result(self, result: chat.ToolResult) -> Tokens:
        names = self._tool_text(result.tool_call_id) + self._tool_text(result.name)
        return names.of(Feature.CALL_IDS) + _TOOL.of(Feature.RESULTS, 1) + self._parts(result.parts)

    def _document(self, document: chat.Document) -> Tokens:
        named = self._text(document.name)
        if document.WhichOneof("source") != "data":
            return named + _REMOTE_DOCUMENT.of(Feature.FILES, 1)
        if document.media_type.startswith("text/") or document.media_type == "application/json":
            return named + self._text(document.data.decode("utf-8", "replace"))
        # Nobody knows what a provider reads in a PDF without reading it. Its text is packed by a factor of 3 to 4, and
        # a token has about 4 characters: about a token per byte is the most that text can be.
        return named + Tokens(len(document.data) // _BYTES_PER_TOKEN, len(document.data)).of(Feature.FILES, 1)

    def _signature(self, part: chat.Part) -> Tokens:
        # Goes only to the model that made it. It is often the encrypted thoughts, which then count.
        if part.signature.origin_model != self._model:
            return NOTHING
        size = len(part.signature.value.encode())
        visible = bool(part.WhichOneof("content") and not _is_hidden(part))
        return Tokens(0 if visible else size // _BYTES_PER_TOKEN, size).of(Feature.HIDDEN, size / _BYTES_PER_TOKEN)

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
        if self._family.is_exact:
            return Tokens(count, min(size, count + cuts * _TOKENS_PER_CUT)).of(feature)
        factor = self._family.scripts[script]
        guess, safe = factor.estimate, factor.safe
        if tools is not None:
            guess, safe = max(guess, tools.estimate), max(safe, tools.safe)
        bound = ceil((count + cuts * _TOKENS_PER_CUT) * safe + _digits(text) * _MORE_PER_DIGIT)
        upper = min(size, max(bound, ceil(len(text) / _CHARACTERS_PER_TOKEN)))
        return Tokens(min(upper, round(count * guess)), upper).of(feature)


def encoded_length(text: str, encode: Encode) -> tuple[int, int]:
    """(tokens, cuts): how many tokens the encoding makes of the text, and how often it was cut to find out.

    Byte-pair encoding is slow on long runs without a break between words, so a text that has one is encoded in slices.
    A cut can change the count by a little in either direction; an upper bound must allow for it.
    """
    if len(text) <= _LONGEST_RUN or not _LONG_RUN.search(text):
        return len(encode(text)), 0
    slices = range(0, len(text), _LONGEST_RUN)
    return sum(len(encode(text[at : at + _LONGEST_RUN])) for at in slices), len(slices) - 1


def _is_hidden(part: chat.Part) -> bool:
    return part.HasField("reasoning") and (part.reasoning.redacted or not part.reasoning.text)


def _is_code(text: str) -> bool:
    """Whether a text has as many brackets and the like as code and JSON have."""
    return sum(map(text.count, '{}[]()<>=;"_')) > _CODE_SIGNS * len(text)


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
_BYTES_PER_TOKEN = 4

# What stands around a tool's definition, a call and a result.
_TOOL = Tokens(9, 9)
# A file that only the provider fetches: ten pages, as text and picture.
_REMOTE_DOCUMENT = Tokens(15_000, 30_000)
