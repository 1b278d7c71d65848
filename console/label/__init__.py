"""The labeling station: people label a round's published batches on their own laptops, with their own credentials.

A batch is what the state machine published and waits for; every answer is one object in S3, written by whoever gives
it, in the layout of Ground Truth's worker responses. Stations share nothing but the bucket, so any number of people
label at once without knowing of each other; too many answers to an object do no harm.
"""
