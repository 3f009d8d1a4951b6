"""Functions that the commands in tools/ call: train, test, tokenize, sample, compare, …"""
