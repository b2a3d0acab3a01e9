"""A part of a message to a part of Gemini's contents."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Target, media
from services.providers.adapters.json_text import Json, is_object, parsed
from services.providers.adapters.lost import Lost
from services.providers.adapters.turns import arguments_object, parts
from services.providers.answer import made_up

# What Google documents for calls of another model in the history, whose thoughts it has not signed.
#   https://ai.google.dev/gemini-api/docs/thought-signatures
_UNSIGNED = "skip_thought_signature_validator"


class Calls:
    """The calls so far: their names, which results must repeat, and what stands for a proof that a turn lacks.

    Ids that were made here come again in later turns: the last call of an id is the one that is meant.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._names: dict[str, str] = {}
        self._stand_in = ""

    def turn(self, message: chat_pb2.Message) -> None:
        """An assistant's turn begins. Without a signed call its first one needs a stand-in, where the model insists."""
        calls = [part for part in message.parts if part.HasField("tool_call")]
        signed = any(part.signature.origin_model == self._target.model for part in calls)
        self._stand_in = "" if signed or "thought_signature_required" not in self._target.quirks else _UNSIGNED

    def called(self, call: chat_pb2.ToolCall) -> str:
        """What stands for the proof of this call, should it have none."""
        self._names[call.id] = call.name
        stand_in, self._stand_in = self._stand_in, ""
        return stand_in

    def name(self, result: chat_pb2.ToolResult) -> str:
        """The name of the tool that a result is of."""
        return result.name or self._names.get(result.tool_call_id, "")


def piece(part: chat_pb2.Part, calls: Calls, target: Target, lost: Lost, path: str) -> Json | None:
    """The part, its signature beside it; None: it is left out, which is said unless it had nothing to say."""
    proof = lost.proof(part, target, path)
    match part.WhichOneof("content"):
        case "text" | "refusal":
            text = part.text or part.refusal
            encoded: Json | None = {"text": text} if text or proof else None
        case "reasoning" if proof and not part.reasoning.redacted:
            encoded = {"text": part.reasoning.text, "thought": True}
        case "tool_call":
            call = part.tool_call
            function: Json = {"name": call.name, "args": arguments_object(call, lost, path)}
            encoded = {"functionCall": function | _id(call.id)}
            stand_in = calls.called(call)
            proof = proof or stand_in
        case "image":
            encoded = _file(part.image)
        case "document":
            encoded = _file(part.document)
        case _:
            lost.content(path, part)
            return None
    if encoded is not None and proof:
        encoded["thoughtSignature"] = proof
    return encoded


def results(path: str, message: chat_pb2.Message, calls: Calls, lost: Lost) -> list[Json]:
    """Results of calls, in their order; pictures and files stand after them, where the format has room for them."""
    out: list[Json] = []
    files: list[Json] = []
    for inner, part in parts(path, message):
        if part.HasField("signature"):
            lost.signature(f"{inner}.signature")
        result = part.tool_result
        files += [_file(each.image) for each in result.parts if each.HasField("image")]
        files += [_file(each.document) for each in result.parts if each.HasField("document")]
        text = "".join(each.text for each in result.parts)
        said: Json = {"name": calls.name(result), "response": _response(text, is_error=result.is_error)}
        response = said | _id(result.tool_call_id)
        out.append({"functionResponse": response})
    return out + files


def _response(text: str, *, is_error: bool) -> Json:
    """The format wants an object."""
    if is_error:
        return {"error": text}
    if is_object(text):
        document: Json = parsed(text)
        return document
    return {"output": text}


def _id(call_id: str) -> Json:
    return {} if made_up(call_id) else {"id": call_id}


def _file(source: chat_pb2.Image | chat_pb2.Document) -> Json:
    if source.remote_uri:
        kind = {"mimeType": source.media_type} if source.media_type else {}
        return {"fileData": {"fileUri": source.remote_uri} | kind}
    return {"inlineData": {"mimeType": source.media_type, "data": media.base64_text(source.data)}}
