"""Adapter versions: their files on disk, and which of them serves. Knows nothing of tensors."""
