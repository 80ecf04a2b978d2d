"""The papers' claims as pictures and tables that a command makes: `python -m training.studies degradation`."""
