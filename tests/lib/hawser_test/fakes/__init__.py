"""Services that only tests know."""
