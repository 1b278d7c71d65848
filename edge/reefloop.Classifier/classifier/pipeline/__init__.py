"""The way of a frame from its source to the spool, and what keeps it going."""
