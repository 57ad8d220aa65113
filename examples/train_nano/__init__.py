"""Train the bundled "nano" checkpoint: `python -m examples.train_nano --help`."""
