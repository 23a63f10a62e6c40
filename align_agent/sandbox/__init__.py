"""Runs code that nobody vouches for: apart, offline, limited, gone afterwards. Judges nothing."""
