"""What the user may do with what is stored: forget it, keep it for a time only, take it along."""
