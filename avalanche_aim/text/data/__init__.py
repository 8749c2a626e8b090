"""Text tasks: where they come from, what they look like, and their traps."""
