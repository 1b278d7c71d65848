"""From a dataset version to a model package."""
