"""What happens in the process of a trial: its identity, seeds, output, reports, result and end."""
