"""The way to the cloud: the nucleus, the messages that leave by it, and the frames that go to S3."""
