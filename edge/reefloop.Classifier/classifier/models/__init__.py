"""Models on the device: taken in, proved, switched and kept."""
