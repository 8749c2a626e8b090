"""What an iteration needs besides the method: gradients, learning rates, data order, random streams, divergence."""
