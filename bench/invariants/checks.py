"""The promises of Fit, each checked from a request and its response alone; nothing of the service is used.

budget    the upper bound, and an independent count where the vocabulary is known, are within the budget
system    instructions are all there, unchanged, in order and before what they stood before
question  the last user message is there, unchanged, and so is all that follows it
tools     a call stands with all its results, a result with its call
verbatim  what is kept is in order; what is ours is a marked block whose sources stand in it, word for word
whole     what fits comes back as it was
roles     the first message that is no instruction is the user's
pinned    what the caller pinned is there
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb

INSTRUCTIONS = (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER)
Count = Callable[[str], int]


def broken(request: pb.FitRequest, response: pb.FitResponse, count: Count | None) -> list[str]:
    """The promises that a response breaks. `count`: counts a text in the model's vocabulary, where that is known."""
    given, kept = list(request.conversation.messages), list(response.messages)
    blocks = {block.message for block in response.blocks}
    own = [message for place, message in enumerate(kept) if place not in blocks]
    places = _places(own, given)
    checks = {
        "budget": _budget(request, response, count),
        "system": [m for m in given if m.role in INSTRUCTIONS] == [m for m in own if m.role in INSTRUCTIONS],
        "question": _tail(given) == kept[len(kept) - len(_tail(given)) :],
        "tools": own == given or _tools_whole(given, own),
        "verbatim": places is not None and _blocks_are_verbatim(request, response),
        "whole": response.before.upper_bound > response.budget_tokens or kept == given,
        "roles": _opens_well(given, kept, response),
        "pinned": all(message in own for message in given if message.pinned),
    }
    return [name for name, holds in checks.items() if not holds]


def size(messages: Sequence[chat.Message], count: Count) -> int:
    """At least what these messages take: their texts, and 3 around each."""
    return sum(3 + sum(map(count, texts_of(message.parts))) for message in messages)


def texts_of(parts: Sequence[chat.Part]) -> list[str]:
    """All texts of a message, those of calls and results included."""
    found: list[str] = []
    for part in parts:
        if part.HasField("tool_call"):
            found += [part.tool_call.name, part.tool_call.arguments_json]
        elif part.HasField("tool_result"):
            found += texts_of(part.tool_result.parts)
        else:
            found.append(part.text or part.refusal)
    return [text for text in found if text]


def _budget(request: pb.FitRequest, response: pb.FitResponse, count: Count | None) -> bool:
    budget = request.window_tokens - request.reserved_output_tokens
    if not response.after.upper_bound <= response.budget_tokens == budget:
        return False
    return count is None or size(response.messages, count) <= budget


def _tail(messages: list[chat.Message]) -> list[chat.Message]:
    """The last user message and what follows it, results without a call aside."""
    last = max((place for place, m in enumerate(messages) if m.role == chat.ROLE_USER), default=None)
    return [] if last is None else messages[last:]


def _places(own: Sequence[chat.Message], given: Sequence[chat.Message]) -> list[int] | None:
    """Where each kept message stands in the request: matched from the end, so that a run of equals is the newest."""
    found: list[int] = []
    place = len(given) - 1
    for message in reversed(own):
        while place >= 0 and given[place] != message:
            place -= 1
        if place < 0:
            return None
        found.append(place)
        place -= 1
    return found[::-1]


def _tools_whole(given: Sequence[chat.Message], own: Sequence[chat.Message]) -> bool:
    """Each kept message with calls is followed by all its results; a result with a call stands behind its call."""
    uses = _tool_uses(given)
    answered = {id_ for use in uses for message in use[1:] for id_ in _ids(message, "tool_result")}
    place = 0
    while place < len(own):
        message = own[place]
        if _ids(message, "tool_call"):
            fitting = [use for use in uses if own[place : place + len(use)] == use]
            if not fitting:
                return False
            place += max(map(len, fitting))
        elif message.role == chat.ROLE_TOOL and _ids(message, "tool_result") & answered and not message.pinned:
            return False
        else:
            place += 1
    return True


def _tool_uses(given: Sequence[chat.Message]) -> list[list[chat.Message]]:
    """Each message with calls, and what follows it up to its last result."""
    uses = []
    for place, message in enumerate(given):
        calls = _ids(message, "tool_call")
        if not calls:
            continue
        end = last = place + 1
        while end < len(given) and given[end].role == chat.ROLE_TOOL:
            end += 1
            if _ids(given[end - 1], "tool_result") & calls:
                last = end
        uses.append(list(given[place:last]))
    return uses


def _ids(message: chat.Message, kind: str) -> set[str]:
    if kind == "tool_call":
        return {part.tool_call.id for part in message.parts if part.HasField("tool_call")}
    return {part.tool_result.tool_call_id for part in message.parts if part.HasField("tool_result")}


def _blocks_are_verbatim(request: pb.FitRequest, response: pb.FitResponse) -> bool:
    for block in response.blocks:
        message = response.messages[block.message]
        text = message.parts[0].text
        if message.role != chat.ROLE_USER or not text.startswith("<") or not text.endswith(">"):
            return False
        at = 0
        for source in block.source_messages:
            for said in _plain(request.conversation.messages[source]):
                at = text.find(said, at)
                if at < 0:
                    return False
    return True


def _plain(message: chat.Message) -> list[str]:
    return [part.text for part in message.parts if part.text]


def _opens_well(given: Sequence[chat.Message], kept: Sequence[chat.Message], response: pb.FitResponse) -> bool:
    if list(given) == list(kept):
        return True
    first = next((message for message in kept if message.role not in INSTRUCTIONS), None)
    must_be_first = {pb.UnitDecision.REASON_PINNED, pb.UnitDecision.REASON_CACHED_PREFIX}
    return (
        first is None
        or first.role == chat.ROLE_USER
        or any(decision.reason in must_be_first for decision in response.decisions)
    )
