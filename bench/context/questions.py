"""Every question within every budget: by the service as it ships, warm and cold, and by the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.context.baseline import Baseline
from bench.context.data import Conversation, Question, message_of, said
from bench.context.service import MODEL, Context, running, shown
from bench.score_context import BUDGETS
from services.context.families import family_of
from services.context.ranks import Encodings
from services.embedding.onnx_minilm import OnnxMiniLM

Write = Callable[[dict[str, Any]], None]
# A cold answer is made from nothing each time, so a part of the questions must do.
_COLD_EVERY = 5


async def run_questions(conversations: Sequence[Conversation], questions: Sequence[Question], write: Write) -> None:
    """A row per artefact, budget and question."""
    by_conversation = {
        conversation.id: [question for question in questions if question.conversation == conversation.id]
        for conversation in conversations
    }
    async with running() as context:
        for conversation in conversations:
            await _warm(context, conversation, by_conversation[conversation.id], write)
    # With room for one vector only, each answer is as if nothing had been seen before.
    async with running(vectors="1", waiting_vectors="1") as context:
        for conversation in conversations:
            await _ask(context, conversation, by_conversation[conversation.id][::_COLD_EVERY], "shipped_cold", write)
    _baseline(conversations, by_conversation, write)


async def _warm(context: Context, conversation: Conversation, questions: Sequence[Question], write: Write) -> None:
    messages = [message_of(turn, conversation) for turn in conversation.turns]
    if questions:
        await context.warm([*messages, said(questions[0].text)], BUDGETS[0])
    await _ask(context, conversation, questions, "shipped", write)


async def _ask(
    context: Context, conversation: Conversation, questions: Sequence[Question], artefact: str, write: Write
) -> None:
    messages = [message_of(turn, conversation) for turn in conversation.turns]
    ids = [*(turn.id for turn in conversation.turns), "question"]
    for question in questions:
        for budget in BUDGETS:
            response = await context.fit([*messages, said(question.text)], budget)
            write(
                {
                    "question": question.id,
                    "budget": budget,
                    "artefact": artefact,
                    "messages": shown(response, ids),
                    "tokens": response.after.upper_bound,
                }
            )


def _baseline(conversations: Sequence[Conversation], by_conversation: dict[str, list[Question]], write: Write) -> None:
    embedder = OnnxMiniLM()
    encoding = Encodings().get(family_of(MODEL).encoding)
    for conversation in conversations:
        baseline = Baseline(conversation, embedder, lambda text: len(encoding.encode_ordinary(text)))
        for question in by_conversation[conversation.id]:
            for budget in BUDGETS:
                messages, tokens = baseline.select(question.text, budget)
                row = {"question": question.id, "budget": budget, "artefact": "baseline"}
                write(row | {"messages": messages, "tokens": tokens})
