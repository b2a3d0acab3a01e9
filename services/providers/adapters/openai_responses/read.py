"""The JSON of a Responses answer, whole or as a stream, to parts of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, ErrorInAnswer, MalformedAnswer
from services.providers.adapters.json_text import compact, count, mapping, objects, parsed_object, string
from services.providers.adapters.reading import BaseReading, FinishWords, refuse, text_of
from services.providers.adapters.usage import disjoint

_INCOMPLETE = "incomplete"
_FINISH: FinishWords = {
    "completed": chat_pb2.FINISH_REASON_STOP,
    "incomplete:max_output_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "incomplete:max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "incomplete:content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "cancelled": chat_pb2.FINISH_REASON_ERROR,
}
_TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
# An item's fields that go back with its thoughts.
_PROOF_FIELDS = ("id", "encrypted_content")


class OpenAIResponsesReading(BaseReading):
    """One answer being read. An output item is known by its place, and in the response at the end by its id.

    A stream says everything three times: as deltas, in the item when it is done, in the response at the end. Deltas are
    taken; from the others only what no delta brought. A proof may differ each time: the last one counts.
    """

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._grown: set[str] = set()
        self._keys: dict[str, str] = {}
        self._proofs: dict[str, str] = {}

    def whole(self, body: bytes) -> None:
        """Read a response object."""
        document = parsed_object(body)
        refuse(document.get("error"))
        if not isinstance(document.get("output"), list):
            raise MalformedAnswer
        self._response(document)

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read one event of a stream."""
        if data.strip() == "[DONE]":
            return ()
        event = parsed_object(data)
        kind = string(event.get("type"))
        if kind == "error" or (not kind and event.get("error")):
            # Some put the error one level deeper, others nowhere but beside the type.
            error = event.get("error") or {name: event[name] for name in ("code", "message") if event.get(name)}
            raise ErrorInAnswer(error if isinstance(error, dict) else {"message": str(error)})
        item = event.get("output_index", event.get("item_id"))
        if kind in _TERMINAL or kind in ("response.created", "response.in_progress"):
            self._response(mapping(event.get("response")), final=kind in _TERMINAL)
        elif kind in ("response.output_item.added", "response.output_item.done"):
            fields = mapping(event.get("item"))
            if item_id := string(fields.get("id")):
                self._keys[item_id] = str(item)
            self._item(str(item), fields, done=kind.endswith("done"))
        else:
            self._delta(kind, str(item), event)
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """Complete with its last event, which has its status."""
        for key, proof in self._proofs.items():
            self.answer.sign("reasoning", proof, key)
        reason = _FINISH.get(self.finish_word, chat_pb2.FINISH_REASON_OTHER)
        return self.ended(reason, complete=bool(self.finish_word))

    def _response(self, response: Mapping[str, Any], *, final: bool = True) -> None:
        self.introduce(response.get("id"), response.get("model"))
        if not final:
            return
        refuse(response.get("error"))
        status = string(response.get("status"))
        if status == "failed":
            refuse({"code": "failed"})
        if raw := mapping(response.get("usage")):
            self.usage = _usage(raw)
        for place, item in enumerate(objects(response.get("output"))):
            self._item(self._keys.get(string(item.get("id")), str(place)), item, done=True)
        if status == _INCOMPLETE:
            status = f"{status}:{string(mapping(response.get('incomplete_details')).get('reason'))}"
        self.finish_word = status

    def _item(self, key: str, item: Mapping[str, Any], *, done: bool) -> None:
        match item.get("type"):
            case "message":
                if done:
                    self._message(key, item)
            case "reasoning":
                if done:
                    self._thoughts(key, item)
            case "function_call":
                arguments = string(item.get("arguments")) if done else ""
                if not self.answer.has("tool_call", key):
                    call_id = string(item.get("call_id")) or string(item.get("id"))
                    self.answer.tool_call(key, call_id=call_id, name=string(item.get("name")), arguments="")
                if arguments and self._first(f"call/{key}"):
                    self.answer.tool_call(key, call_id="", name="", arguments=arguments)
            case kind:  # what the provider's own tools did, or what it alone can read
                if done and not self._prove(key, item, ("type", *_PROOF_FIELDS)):
                    self.drop(kind)

    def _message(self, key: str, item: Mapping[str, Any]) -> None:
        streamed = set(self._grown)
        for place, piece in enumerate(objects(item.get("content"))):
            match piece.get("type"):
                case "output_text" | "text":
                    if f"text/{key}" not in streamed:
                        self._text(key, f"{key}/{place}", string(piece.get("text")))
                    if piece.get("annotations"):
                        self.drop("annotations")
                case "refusal":
                    if f"refusal/{key}" not in streamed:
                        self._refusal(key, f"{key}/{place}", string(piece.get("refusal")))
                case kind:
                    self.drop(kind)

    def _text(self, item: str, key: str, piece: str) -> None:
        self._grown.add(f"text/{item}")
        self.answer.text(piece, key)

    def _refusal(self, item: str, key: str, piece: str) -> None:
        self._grown.add(f"refusal/{item}")
        self.answer.refusal(piece, key)

    def _thoughts(self, key: str, item: Mapping[str, Any]) -> None:
        """Summaries, else the thoughts themselves; and the proof, which may be all there is."""
        if not self._grown & {f"summary/{key}", f"content/{key}"}:
            summary = text_of(objects(item.get("summary")))
            words = summary or text_of(objects(item.get("content")))
            if words:
                self._grown.add(f"summary/{key}" if summary else f"content/{key}")
            self.answer.reasoning(words, key)
        self._prove(key, item, _PROOF_FIELDS)

    def _prove(self, key: str, item: Mapping[str, Any], fields: Sequence[str]) -> bool:
        """What only the provider can read of an item goes back as it came; whether it has something like it."""
        if not string(item.get("encrypted_content")):
            return False
        self.answer.begin("reasoning", key)
        self._proofs[key] = compact({name: item[name] for name in fields if item.get(name)})
        return True

    def _delta(self, kind: str, item: str, event: Mapping[str, Any]) -> None:
        inner = f"{item}/{event.get('content_index', 0)}"
        piece = string(event.get("delta"))
        match kind:
            case "response.output_text.delta":
                self._text(item, inner, piece)
            case "response.refusal.delta":
                self._refusal(item, inner, piece)
            case "response.reasoning_summary_text.delta":
                self._grown.add(f"summary/{item}")
                self.answer.reasoning(piece, item)
            case "response.reasoning_text.delta" if f"summary/{item}" not in self._grown:
                self._grown.add(f"content/{item}")
                self.answer.reasoning(piece, item)
            case "response.function_call_arguments.delta" if self.answer.has("tool_call", item):
                self._grown.add(f"call/{item}")
                self.answer.tool_call(item, call_id="", name="", arguments=piece)

    def _first(self, what: str) -> bool:
        """Whether nothing has brought this yet."""
        if what in self._grown:
            return False
        self._grown.add(what)
        return True


def _usage(raw: Mapping[str, Any]) -> chat_pb2.Usage:
    """Totals with their parts in them."""
    details = mapping(raw.get("input_tokens_details"))
    return disjoint(
        prompt=count(raw, "input_tokens"),
        completion=count(raw, "output_tokens"),
        cached=count(details, "cached_tokens"),
        written=count(details, "cache_write_tokens"),
        reasoning=count(mapping(raw.get("output_tokens_details")), "reasoning_tokens"),
    )
