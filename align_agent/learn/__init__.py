"""What is learned because somebody asked for it: demonstrations, documents, a solved problem.

Each becomes lessons in the log, or a candidate before the gate; `distill` and `night` do the rest.
"""
