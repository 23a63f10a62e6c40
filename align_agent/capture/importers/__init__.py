"""Existing chats become logged turns: OpenAI messages, ShareGPT, a ChatGPT export, follow-up rows.

`read_chats` reads a file, `to_turns` cuts a chat into turns, `import_file` does all of it into a
store, redacted; `import_openclaw` does so for OpenClaw's sessions. Judges no turn; feedback is
read from them like from any other.
"""

from align_agent.capture.importers.chats import ImportedChat, read_chats
from align_agent.capture.importers.load import ImportReport, import_file, import_openclaw
from align_agent.capture.importers.turns import to_turns

__all__ = [
    "ImportReport",
    "ImportedChat",
    "import_file",
    "import_openclaw",
    "read_chats",
    "to_turns",
]
