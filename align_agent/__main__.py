"""`python -m align_agent`: the same as the `align-agent` command."""

from __future__ import annotations

import sys

from align_agent.cli import main

sys.exit(main())
