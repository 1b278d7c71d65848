"""A compiled model beside the one that it was compiled from: the same objects, the same machine, as many threads."""
