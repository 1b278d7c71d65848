"""From a trained model package to a verdict: what it gets right, whether it may ship, and what to work on next."""
