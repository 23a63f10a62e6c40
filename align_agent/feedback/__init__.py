"""What the user thought of the answers: reading it, condensing it into rules, checking answers."""
