"""Tasks as Avalanche experiences: encoded, cached, batched."""
