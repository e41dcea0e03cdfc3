"""What the end-to-end tests and packaging/try share: a fake service, a real hawserd, consumers."""
