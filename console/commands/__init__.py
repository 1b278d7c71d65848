"""One module per command that talks to a deployed project; each has `run(options)` and returns an exit code."""
