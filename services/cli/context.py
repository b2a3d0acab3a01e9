"""Shows what of a conversation a model would see, and why: `omnisphere context fit`."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import router_service_pb2
from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.cli.client import reached
from services.cli.show import word
from services.context.server import assemble
from services.context.settings import load
from services.router.edge.errors import Refused
from services.router.edge.openai_chat.read import request as read_request

_TEXT_CHARACTERS = 60


def read_conversation(file: Path) -> chat_pb2.Conversation:
    """The conversation of a file: the body of a chat completion, or the list of its messages. Raises StartError."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as failure:
        raise StartError(f"{file}: cannot be read: {failure.strerror}") from failure
    except (UnicodeDecodeError, json.JSONDecodeError) as failure:
        raise StartError(f"{file}: is no JSON") from failure
    body = {"messages": document} if isinstance(document, list) else document
    if not isinstance(body, dict):
        raise StartError(f"{file}: is neither a chat completion nor a list of messages")
    try:
        return read_request({"model": "auto"} | body).request.conversation
    except Refused as failure:
        raise StartError(f"{file}: {failure.message}") from failure


async def fit(console: Console, file: Path, model: str, window: int, router: str, environ: Mapping[str, str]) -> None:
    """Fit the conversation of a file, and print what became of it. Raises StartError or ServiceError."""
    conversation = read_conversation(file)
    if not window:
        found = await _model(model, router, environ)
        model, window = found.id, found.window_tokens
    parts = assemble(load(environ), Log("context", level="error", stream=io.StringIO()), CollectorRegistry())
    parts.background.start()
    try:
        request = pb.FitRequest(conversation=conversation, model=model, window_tokens=window)
        response = await parts.fitter.fit(request)
        if response.degradations:  # vectors were missing: made by now, so that the second answer has them
            await parts.background.settled()
            response = await parts.fitter.fit(request)
    finally:
        await parts.close()
    show_fit(console, conversation, response, model, window)


def show_fit(
    console: Console, conversation: chat_pb2.Conversation, response: pb.FitResponse, model: str, window: int
) -> None:
    """A line per unit, and the totals."""
    table = Table("messages", "who", "tokens", "kept", "why", "begins", box=None, header_style="bold")
    for decision in response.decisions:
        message = conversation.messages[decision.first_message]
        last = decision.first_message + decision.messages - 1
        places = str(decision.first_message) if decision.messages == 1 else f"{decision.first_message}-{last}"
        who = message.name or word(chat_pb2.Role.Name(message.role), "ROLE_")
        why = word(pb.UnitDecision.Reason.Name(decision.reason), "REASON_")
        kept = "[green]yes[/green]" if decision.kept else "[dim]no[/dim]"
        table.add_row(places, who, f"{decision.tokens:,}", kept, why, _begins(message))
    console.print(table)
    before, after = response.before, response.after
    policy = word(pb.FitPolicy.Name(response.policy), "FIT_POLICY_")
    console.print(
        f"{model}: {before.upper_bound:,} -> {after.upper_bound:,} tokens at most (about {after.estimate:,}) of "
        f"{response.budget_tokens:,} in a window of {window:,}; policy {policy}; counted with {after.encoding}, "
        f"{after.calibration_version}",
        highlight=False,
    )
    for degradation in response.degradations:
        kind = word(chat_pb2.Degradation.Kind.Name(degradation.kind), "KIND_")
        console.print(f"[yellow]{kind}: {degradation.subject}[/yellow]", highlight=False)


def _begins(message: chat_pb2.Message) -> str:
    text = " ".join(next((part.text for part in message.parts if part.text), "").split())
    if not text:
        text = ", ".join(str(part.WhichOneof("content")).replace("_", " ") for part in message.parts)
    return (text if len(text) <= _TEXT_CHARACTERS else text[: _TEXT_CHARACTERS - 1] + "\u2026").replace("[", "\\[")


async def _model(name: str, router: str, environ: Mapping[str, str]) -> model_pb2.Model:
    async with reached(router, environ) as (stub, _):
        listed = await stub.ListModels(router_service_pb2.ListModelsRequest(include_uncallable=True))
    for model in listed.models:
        if name == model.id or name in model.aliases:
            return model
    raise StartError(f"--model: {name}: is not in the catalogue; say its window with --window")
