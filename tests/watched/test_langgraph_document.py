"""docs/langgraph.md holds what it promises: its program runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from align_agent.store import Store

DOCUMENT = Path(__file__).parents[2] / "docs" / "langgraph.md"


def test_the_documents_program_records_and_is_read(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"ALIGN_AGENT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "2 turns recorded\n", done.stderr
    with Store.open(tmp_path / "align.db") as store:
        first, second = store.turns.all_main()
        assert first.conversation_id == second.conversation_id
        assert [found.polarity for found in store.feedback.for_turn(first.id)] == ["negative"]
