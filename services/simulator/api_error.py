"""An error in the shape that OpenAI answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiError:
    """HTTP status, the four fields of OpenAI's error body, and extra headers."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, object]:
        """The JSON body of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class Refused(Exception):
    """The request cannot be served; `error` is the answer to give."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def invalid(message: str, param: str | None = None, code: str | None = None) -> Refused:
    """A 400 that says what the caller did wrong."""
    return Refused(ApiError(400, message, param=param, code=code))


def unknown_model(name: str) -> Refused:
    """A 404 for a model that is not in the fleet."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return Refused(ApiError(404, message, code="model_not_found"))


def no_chat_model() -> Refused:
    """A 404 for a conversation with a model that makes vectors."""
    message = "This is not a chat model and thus not supported in the v1/chat/completions endpoint."
    return Refused(ApiError(404, message, param="model"))


def not_recorded(model: str, recorded: str, *, is_prompt: bool) -> Refused:
    """A 400 for what no recording answers; `is_prompt`: the prompt is recorded, this model's answer is not."""
    missing = f"No answer of `{model}` to this prompt" if is_prompt else "This prompt"
    message = f"{missing} is recorded in `{recorded}`; a replay answers what was recorded, and nothing else."
    return Refused(ApiError(400, message, "not_recorded", param="messages", code="not_recorded"))


def context_too_long(tokens: int, window: int) -> ApiError:
    """A 400 for an input over the model's window."""
    return ApiError(
        400,
        f"This model's maximum context length is {window} tokens. However, your messages "
        f"resulted in {tokens} tokens. Please reduce the length of the messages.",
        param="messages",
        code="context_length_exceeded",
    )
