"""The container that every job runs in."""
