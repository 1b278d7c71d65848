"""What waits on disk for the cloud's word that it has it."""
