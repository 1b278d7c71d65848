"""What runs inside SageMaker jobs: one container, one verb per job."""
