"""The tools of a Responses request, and which of them may or must be called."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.router.edge.errors import wrong
from services.router.edge.openai import CHOICES, read_function, read_parallel
from services.router.edge.values import Json, array, table, text, word

_ALLOWED_MODES = ("auto", "required")
# What the format also knows; they are named when they are refused, unknown ones are not.
OTHER_KINDS = frozenset(
    {
        *("web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11", "file_search"),
        *("code_interpreter", "image_generation", "mcp", "computer", "computer_use_preview", "local_shell", "shell"),
        *("apply_patch", "custom", "namespace", "tool_search", "programmatic_tool_calling"),
    }
)


def read_tools(document: Json, conversation: chat_pb2.Conversation) -> None:
    """The tools that are offered, and the choice among them. Raises Refused."""
    for at, row in offered(document):
        read_function(row, conversation, f"tools[{at}]")
    _choice(document.get("tool_choice"), conversation.tool_choice)
    read_parallel(document, conversation.tool_choice)


def offered(document: Json) -> list[tuple[int, Json]]:
    """(its place, the tool) of every function; where the choice allows some of them, these alone. Raises Refused."""
    rows = list(enumerate(array(document.get("tools") or [], "tools")))
    for at, row in rows:
        kind = table(row, f"tools[{at}]").get("type")
        if isinstance(kind, str) and kind in OTHER_KINDS:
            problem = f"{kind} is not supported: a tool is a function of the caller's own"
            raise wrong(f"tools[{at}].type", problem, "unsupported_parameter")
        if kind != "function":
            raise wrong(f"tools[{at}].type", "must be function")
    choice = document.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return rows
    names = [text(row.get("name"), f"tools[{at}].name") for at, row in rows]
    allowed = set()
    for at, row in enumerate(array(choice.get("tools"), "tool_choice.tools")):
        path = f"tool_choice.tools[{at}]"
        if table(row, path).get("type") != "function":
            raise wrong(f"{path}.type", "must be function")
        allowed.add(word(row.get("name"), names, f"{path}.name"))
    return [row for row, name in zip(rows, names, strict=True) if name in allowed]


def _choice(choice: object, chosen: chat_pb2.ToolChoice) -> None:
    if isinstance(choice, str) and choice in CHOICES:
        chosen.mode = CHOICES[choice]
    elif isinstance(choice, dict) and choice.get("type") == "function":
        chosen.mode = chat_pb2.ToolChoice.MODE_NAMED
        chosen.name = text(choice.get("name"), "tool_choice.name")
    elif isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        chosen.mode = CHOICES[word(choice.get("mode"), _ALLOWED_MODES, "tool_choice.mode")]
    elif choice is not None:
        raise wrong("tool_choice", "is not auto, none, required, a function or allowed_tools")
