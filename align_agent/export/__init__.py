"""A version in the forms that other programs read: PEFT, merged safetensors, GGUF."""
