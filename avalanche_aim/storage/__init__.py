"""What is kept on disk: whole files or none, plain data back into dataclasses, versions."""
