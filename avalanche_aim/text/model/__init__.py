"""Language models in the form that Avalanche's strategies can hold."""
