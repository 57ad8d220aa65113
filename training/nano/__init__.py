"""Train the bundled "nano" checkpoint: `python -m training.nano --help`."""
