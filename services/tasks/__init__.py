"""Tasks: their rules, their lists, and undo of what a run has changed."""
