"""Speed and memory, ours beside the peers'."""
