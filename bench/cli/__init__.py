"""The command line: what was asked (`Request`), one file a command, and how progress and errors are told."""
