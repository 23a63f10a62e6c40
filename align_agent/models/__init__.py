"""Text in, text out, log-probabilities. The network and its adapters; nothing of turns or nights.

Only `local`, `decoding`, `forward` and `lora` import torch; everything else here is light.
"""
