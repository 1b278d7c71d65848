"""Classifies the frames of a camera on a Greengrass core device. Standard library and requirements.txt only.

One pass over a frame: source -> preprocess -> model (on a runtime) -> policy -> outbox -> uplink; report counts it.
"""
