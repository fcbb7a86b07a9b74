"""One module per published figure or table: which tasks, which verdicts, which picture."""
