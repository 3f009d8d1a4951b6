"""Metrics of reconstructions, samples and likelihoods."""
