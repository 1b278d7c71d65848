"""Labels: routing, consolidation, the human-level baseline, datasets."""
