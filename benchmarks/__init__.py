"""Measurements of the package: python -m benchmarks, or python -m benchmarks.NAME for encoding and evaluation."""
