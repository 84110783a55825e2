"""Programs that write the tables of docs/: `python -m bench.pages.<name>`."""
