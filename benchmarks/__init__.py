"""What developers of this project measure, one command each; `python -m benchmarks.serve --help` shows the first."""
