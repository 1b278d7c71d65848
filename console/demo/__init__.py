"""The whole loop, twice, in an AWS account on this machine; everything it prints is read back from that account."""
