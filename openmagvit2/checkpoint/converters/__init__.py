"""The converter slot: official files to ours and back, one file for each system."""
