"""What servers read of logits, composed as vLLM does it, without its compiler."""

import torch


def read(x, chosen, count):
    """The largest and who they are, then log-probability, rank and entropy of each row."""
    log_probs = torch.log_softmax(x, -1)
    of_chosen = log_probs.gather(-1, chosen[:, None])
    rank = (log_probs >= of_chosen).sum(-1)
    top, ids = torch.topk(log_probs, count, dim=-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    return top, ids, of_chosen[:, 0], rank, entropy
