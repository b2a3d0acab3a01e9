"""The input of a Responses request: items to messages of our contract.

What the model said, thought and called in a row becomes one message, and so do the results in a row. Where each message
and part stands in the request is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from omnisphere.chat.v1 import chat_pb2
from services.router.edge.errors import wrong
from services.router.edge.openai import read_file, read_image
from services.router.edge.openai_responses import proofs
from services.router.edge.values import Json, array, table, text

_ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
}
_IN_A_ROW = (chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_TOOL)
_REFERENCE = "nothing is stored here; send the item itself, as clients do with store: false"


class Input:
    """Reads the instructions and the input. `places` has, for each message, its path and those of its parts."""

    def __init__(self, conversation: chat_pb2.Conversation, model: str) -> None:
        self.places: list[tuple[str, list[str]]] = []
        self._messages = conversation.messages
        self._model = model

    def read(self, document: Json) -> None:
        """Append the messages. Raises Refused with the place that is wrong."""
        if (said := document.get("instructions")) is not None and text(said, "instructions"):
            self._add(chat_pb2.ROLE_SYSTEM, "instructions", [("instructions", chat_pb2.Part(text=said))])
        items = document.get("input")
        if isinstance(items, str):
            self._add(chat_pb2.ROLE_USER, "input", [("input", chat_pb2.Part(text=items))])
            return
        for at, item in enumerate(array(items, "input")):
            self._item(table(item, f"input[{at}]"), f"input[{at}]")

    def _item(self, item: Json, path: str) -> None:
        match item.get("type") or "message":
            case "message":
                self._message(item, path)
            case "reasoning":
                self._thoughts(item, path)
            case "function_call":
                part = chat_pb2.Part()
                part.tool_call.id = text(item.get("call_id"), f"{path}.call_id")
                part.tool_call.name = text(item.get("name"), f"{path}.name")
                part.tool_call.arguments_json = text(item.get("arguments"), f"{path}.arguments") or "{}"
                self._add(chat_pb2.ROLE_ASSISTANT, path, [(path, part)])
            case "function_call_output":
                part = chat_pb2.Part()
                part.tool_result.tool_call_id = text(item.get("call_id"), f"{path}.call_id")
                part.tool_result.parts.extend(piece for _, piece in _content(item.get("output"), f"{path}.output"))
                if not part.tool_result.parts:
                    part.tool_result.parts.add().text = ""
                self._add(chat_pb2.ROLE_TOOL, path, [(path, part)])
            case "item_reference" if text(item.get("id"), f"{path}.id").startswith("rs_"):
                pass  # thoughts that the client does not send: the model answers without them
            case "item_reference":
                raise wrong(f"{path}.type", f"item_reference is not supported: {_REFERENCE}", "unsupported_parameter")
            case _:
                raise wrong(f"{path}.type", "is not message, function_call, function_call_output or reasoning")

    def _message(self, item: Json, path: str) -> None:
        name = item.get("role")
        role = _ROLES.get(name) if isinstance(name, str) else None
        if role is None:
            raise wrong(f"{path}.role", f"is not one of {', '.join(_ROLES)}")
        pieces = list(_content(item.get("content"), f"{path}.content"))
        if pieces or role != chat_pb2.ROLE_ASSISTANT:
            self._add(role, path, pieces)

    def _thoughts(self, item: Json, path: str) -> None:
        """Summaries, else the thoughts themselves; and the proof. With neither there is nothing to send on."""
        words = _words(item, "summary", path) or _words(item, "content", path)
        value = text(item.get("encrypted_content") or "", f"{path}.encrypted_content")
        proof, kind = proofs.read(value, item, self._model) if value else (None, proofs.THOUGHTS)
        if proof is not None and kind == proofs.CALL:
            self._prove_call(proof)
        elif words or value:
            thoughts = chat_pb2.Reasoning(text=words, redacted=kind == proofs.HIDDEN)
            self._add(chat_pb2.ROLE_ASSISTANT, path, [(path, chat_pb2.Part(reasoning=thoughts, signature=proof))])

    def _prove_call(self, proof: chat_pb2.Signature) -> None:
        last = self._messages[-1].parts[-1] if self._messages and self._messages[-1].parts else None
        if last is not None and last.HasField("tool_call"):
            last.signature.CopyFrom(proof)

    def _add(self, role: chat_pb2.Role.ValueType, path: str, pieces: list[tuple[str, chat_pb2.Part]]) -> None:
        if role not in _IN_A_ROW or not self._messages or self._messages[-1].role != role:
            self._messages.add(role=role)
            self.places.append((path, []))
        for place, part in pieces:
            self._messages[-1].parts.append(part)
            self.places[-1][1].append(place)


def _content(value: object, path: str) -> Iterator[tuple[str, chat_pb2.Part]]:
    """(where it stands, the piece) of a text or a list of pieces."""
    if isinstance(value, str):
        yield path, chat_pb2.Part(text=value)
        return
    for at, piece in enumerate(array(value, path)):
        where = f"{path}[{at}]"
        part = chat_pb2.Part(cache_breakpoint=table(piece, where).get("prompt_cache_breakpoint") is not None)
        match piece.get("type"):
            case "input_text" | "output_text":
                part.text = text(piece.get("text"), f"{where}.text")
            case "refusal":
                part.refusal = text(piece.get("refusal"), f"{where}.refusal")
            case "input_image":
                _image(piece, part.image, where)
            case "input_file" if piece.get("file_url") is not None:
                part.document.remote_uri = text(piece["file_url"], f"{where}.file_url")
                part.document.name = text(piece.get("filename") or "", f"{where}.filename")
            case "input_file":
                read_file(piece, part.document, where)
            case "input_audio":
                raise wrong(f"{where}.type", "input_audio is not supported", "unsupported_parameter")
            case _:
                raise wrong(f"{where}.type", "is not input_text, input_image, input_file, output_text or refusal")
        yield where, part


def _image(piece: Json, image: chat_pb2.Image, path: str) -> None:
    if piece.get("file_id") is not None:
        raise wrong(f"{path}.file_id", "is not supported: there is no file store; send image_url")
    read_image(piece, image, path, "image_url")


def _words(item: Json, name: str, path: str) -> str:
    pieces = array(item.get(name) or [], f"{path}.{name}")
    found = [
        text(table(piece, f"{path}.{name}[{at}]").get("text"), f"{path}.{name}[{at}].text")
        for at, piece in enumerate(pieces)
    ]
    return "".join(found)
