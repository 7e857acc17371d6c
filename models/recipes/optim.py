"""Muon for the matrices of the blocks, AdamW for embeddings, norms and heads."""
import torch


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised by five Newton-Schulz steps (Jordan et al. 2024)."""

    def __init__(self, params, lr=0.02, momentum=0.95, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(state["momentum"], group["momentum"]))
                scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"] * scale)


def orthogonal(matrix, steps=5):
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if tall else x).float()


def pretraining_optimizers(model, adam_lr=3e-3, muon_lr=0.02):
    blocks = [p for n, p in model.named_parameters() if p.dim() > 1 and ".layers." in n]
    others = [p for n, p in model.named_parameters() if not (p.dim() > 1 and ".layers." in n)]
    return [torch.optim.AdamW(others, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
            Muon(blocks, lr=muon_lr)]


def set_learning_rate(optimizers, factor):
    """Scale every group's first learning rate by `factor`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("base_lr", group["lr"])
            group["lr"] = group["base_lr"] * factor


def schedule(fraction, step, warmup=50, constant=0.4, floor=0.02):
    """Linear warm-up over steps, constant, then linear decay over the fraction of the time used."""
    decay = 1.0 if fraction < constant else max(floor, 1 - (fraction - constant) / (1 - constant))
    return min(1.0, (step + 1) / warmup) * decay
