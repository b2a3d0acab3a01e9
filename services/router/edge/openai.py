"""What Chat Completions and Responses say in the same words: tools, forms of answers, pictures and files."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from omnisphere.chat.v1 import chat_pb2
from services.router.edge.errors import wrong
from services.router.edge.values import Json, compact, data_url, decoded, flag, table, text

CHOICES = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
}
EFFORTS = {
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "minimal": chat_pb2.REASONING_EFFORT_LOW,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
    "xhigh": chat_pb2.REASONING_EFFORT_HIGH,
}
# The one that comes anyway.
USUAL_VERBOSITY = "medium"
VERBOSITIES = ("low", USUAL_VERBOSITY, "high")


def changes_nothing(value: object, harmless: Sequence[object]) -> bool:
    """Whether a parameter that is refused asks for what happens anyway."""
    return any(type(value) is type(one) and value == one for one in harmless)


def read_function(function: Json, conversation: chat_pb2.Conversation, path: str) -> None:
    """A function that the model may call."""
    tool = conversation.tools.add(
        name=text(function.get("name"), f"{path}.name"),
        description=text(function.get("description") or "", f"{path}.description"),
        strict=flag(function.get("strict"), f"{path}.strict"),
    )
    if function.get("parameters") is not None:
        tool.parameters_json = schema(function["parameters"], f"{path}.parameters")


def read_parallel(document: Json, choice: chat_pb2.ToolChoice) -> None:
    """Whether several may be called at once."""
    parallel = document.get("parallel_tool_calls")
    if parallel is not None and not flag(parallel, "parallel_tool_calls"):
        choice.disable_parallel = True


def read_form(said: Json, form: chat_pb2.ResponseFormat, path: str, inside: str = "") -> None:
    """The form of the answer. A schema stands in `said` itself, or in its field `inside`."""
    match said.get("type"):
        case "text":
            form.kind = chat_pb2.ResponseFormat.KIND_TEXT
        case "json_object":
            form.kind = chat_pb2.ResponseFormat.KIND_JSON_OBJECT
        case "json_schema":
            if inside:
                path = f"{path}.{inside}"
                said = table(said.get(inside), path)
            form.kind = chat_pb2.ResponseFormat.KIND_JSON_SCHEMA
            form.name = text(said.get("name"), f"{path}.name")
            form.schema_json = schema(said.get("schema"), f"{path}.schema")
            form.strict = flag(said.get("strict"), f"{path}.strict")
        case _:
            raise wrong(f"{path}.type", "is not text, json_object or json_schema")


def schema(value: object, path: str) -> str:
    """A JSON schema as text."""
    return compact(table(value, path), path)


def stream_options(document: Json, known: Collection[str], *, stream: bool) -> Json:
    """The options of a stream; only those that are known. Raises Refused."""
    options = document.get("stream_options")
    if options is None:
        return {}
    if not stream:
        raise wrong("stream_options", "goes together with stream only")
    said = table(options, "stream_options")
    for name in said:
        if name not in known:
            raise wrong(f"stream_options.{name[:64]}", "is not a known parameter", "unknown_parameter")
    return said


def read_image(value: Json, image: chat_pb2.Image, path: str, name: str) -> None:
    """A picture in the body itself, or at an address; `name` is the field that has either."""
    url = text(value.get(name), f"{path}.{name}")
    inline = data_url(url, f"{path}.{name}")
    if inline is None:
        image.remote_uri = url
    else:
        image.media_type, image.data = inline
    if value.get("detail") is not None:
        image.detail = text(value["detail"], f"{path}.detail")


def read_file(value: Json, document: chat_pb2.Document, path: str) -> None:
    """A file in the body itself."""
    if value.get("file_id") is not None:
        raise wrong(f"{path}.file_id", "is not supported: there is no file store; send file_data")
    said = text(value.get("file_data"), f"{path}.file_data")
    inline = data_url(said, f"{path}.file_data")
    # Without a media type it is a PDF: the only kind of file that the format had at first.
    document.media_type, document.data = inline or ("application/pdf", decoded(said, f"{path}.file_data"))
    if value.get("filename") is not None:
        document.name = text(value["filename"], f"{path}.filename")
