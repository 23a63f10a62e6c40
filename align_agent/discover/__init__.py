"""One hard problem at test time: attempts in a sandbox, feedback in words, a step on each batch."""
