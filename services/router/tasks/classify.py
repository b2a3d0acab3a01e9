"""Which task type a prompt is: the caller's hint, else words of the last user text, else the policy's default. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2

# In this order: the first rule that matches decides. Only the head of a long text is read.
_HEAD = 2_000
_LANGUAGES = (
    "french|german|spanish|italian|portuguese|dutch|polish|swedish|japanese|chinese|korean|russian|arabic|hindi|turkish"
    "|english"
)
_CODE = (
    "function|class|script|program|method|regex|regular expression|query|sql|python|javascript|typescript|rust|golang"
    "|bash|one-liner|decorator|code|shell command|command line|git command|expression|json object"
)
# Something that is written like code: a span in backquotes with a sign in it, or a definition.
_SNIPPET = r"`[^`\n]*[(=;\[{.][^`\n]*`|```|\bdef \w+\(|\bSELECT\b.{1,200}?\bFROM\b"
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (task, re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL))
    for task, patterns in {
        "translation": (
            r"\btranslat(?:e|ion|ing)\b",
            r"\bhow (?:do|would) you say\b",
            rf"\b(?:in|into|to) (?:{_LANGUAGES})\b",
        ),
        "code_review": (
            r"\breview\b.{0,60}\b(?:code|function|snippet|patch|diff|pull request|class|method|query)\b",
            r"\b(?:find|spot|what is|what's|is there)\b.{0,40}\b(?:bug|flaw|vulnerabilit|race condition|mistake)\b",
            r"\bwhat(?:'s| is) wrong with\b.{0,60}\b(?:code|function|snippet|loop|query)\b",
            r"\bcode review\b",
            r"\b(?:quality|smells?|problems?|weaknesses) (?:of|in|with) (?:this|the|my) code\b",
            rf"\breview\b.{{0,200}}(?:{_SNIPPET})",
            rf"(?:{_SNIPPET}).{{0,300}}\b(?:which|what|is|does|can|why|how)\b",
        ),
        "code_generation": (
            rf"\b(?:write|implement|create|generate|give|complete)\b.{{0,60}}\b(?:{_CODE})\b",
            rf"^(?:please )?code\b.{{0,60}}\b(?:{_CODE})\b",  # the verb: the noun stands behind other words
        ),
        "summarization": (
            r"\bsummar(?:y|ies|i[sz]e|i[sz]ing|i[sz]ation)\b",
            r"\btl;?dr\b",
            r"\bin (?:one|two|a|three) (?:short )?sentences?\b",
            r"\b(?:condense|shorten|boil down)\b",
            r"\bkey (?:points|takeaways)\b",
            r"\bgist\b",
        ),
        "classification": (
            r"\bclassif(?:y|ication)\b",
            r"\bcategori[sz]e\b",
            r"\blabel (?:this|the|each)\b",
            r"\bsentiment\b",
            r"\b(?:is|was) (?:this|the following)\b.{0,80}\bor\b",
            r"\bwhich (?:category|label|class|of these)\b",
            r"\b(?:spam|positive|negative|urgent|priority)\b.{0,30}\bor\b",
            r"\bwhich (?:team|queue|department|topic|intent|tag|bucket|shelf|genre)\b.{0,80}\bor\b",
        ),
        "research": (
            r"\b(?:research|investigate|in depth|in detail|trade-?offs?|pros and cons|compare|comparison|analy[sz]e)\b",
            r"\b(?:evaluate|assess|survey|implications|causes of|explain why|report on)\b",
        ),
    }.items()
)

# The task types that ship; a policy's table may know others.
TASK_TYPES = (*(task for task, _ in _RULES), "simple_qa")


def classify(
    conversation: chat_pb2.Conversation, hint: str, known: Collection[str], default: str
) -> tuple[str, decision_pb2.TaskSource.ValueType]:
    """(task type, how it was found). A hint that the policy's table does not know falls through to the rules."""
    if hint in known:
        return hint, decision_pb2.TASK_SOURCE_HINT
    text = last_user_text(conversation)[:_HEAD]
    for task, pattern in _RULES:
        if task in known and pattern.search(text):
            return task, decision_pb2.TASK_SOURCE_RULE
    return default, decision_pb2.TASK_SOURCE_DEFAULT


def last_user_text(conversation: chat_pb2.Conversation) -> str:
    """The text of the last USER message; empty where there is none."""
    for message in reversed(conversation.messages):
        if message.role == chat_pb2.ROLE_USER:
            return "\n".join(part.text for part in message.parts if part.WhichOneof("content") == "text")
    return ""
