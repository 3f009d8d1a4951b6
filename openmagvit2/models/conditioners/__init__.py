"""The conditioner slot: what a generator is conditioned on, as vectors."""
