"""What the user holds after a cell: Run, Trial and Server, and what they show."""
