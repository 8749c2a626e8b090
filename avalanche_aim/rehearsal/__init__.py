"""The rehearsal memory, and the passes over it."""
