from .digits import DIGITS, digits
from .embeddings import Embeddings
from .encoder_files import DEFAULT_ENCODER
from .features import feature_benchmark
from .head import Head, LabelScores

__all__ = ["DEFAULT_ENCODER", "DIGITS", "Embeddings", "Head", "LabelScores", "digits", "feature_benchmark"]
