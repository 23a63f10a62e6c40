"""The engine: whatever improves the answer when it stands in the context goes into the weights.

`hindsight` and `select` are light; `gap`, `loss`, `rollouts` and `train` import torch.
"""
