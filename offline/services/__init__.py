"""AWS services that moto lacks or only stubs, in moto's own shape: models, responses, urls."""
