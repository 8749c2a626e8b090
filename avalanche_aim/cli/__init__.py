"""The commands of ``python -m avalanche_aim``, one module each."""
