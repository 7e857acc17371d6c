"""Tunes the policy itself by DPO on the happy guide's pairs: `tales-dpo`, the model that was trained
where the guide only guides. loss = -log sigmoid(beta * ((log p - log p_ref)(better) - (...)(worse)))."""
import os
import time

import torch
import torch.nn.functional as F

from common import arguments, log, rng, write_json
from model import load, save
from optim import schedule
from pairs import bucketed, length_matched_pairs, split
from sample import read_pool
from train_arm import pair_log_probs

BETA = 0.1


@torch.no_grad()
def accuracy(model, reference, pairs, size=32):
    """Share of the pairs whose better answer gained more over the reference."""
    right = 0
    for start in range(0, len(pairs), size):
        better, worse, _ = pair_log_probs(model, pairs[start:start + size])
        ref_better, ref_worse, _ = pair_log_probs(reference, pairs[start:start + size])
        right += (better - ref_better > worse - ref_worse).sum().item()
    return right / len(pairs)


def main():
    args = arguments(__doc__, ("--seconds", dict(type=float, default=240)), ("--lr", dict(type=float, default=1e-4)))
    torch.set_num_threads(args.threads)
    final = os.path.join(args.work, "tales-dpo.pt")
    if os.path.exists(final):
        return
    torch.manual_seed(0)
    start = os.path.join(args.work, "policy.pt")
    model, reference = load(start).train(), load(start)
    training, held_out = (length_matched_pairs(part, "happy") for part in split(read_pool(args.work)))
    held_out = held_out[:300]
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    spent, step = 0.0, 0
    batches = bucketed(training, 16, rng(0))
    while spent < args.seconds:
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = args.lr * schedule(spent / args.seconds, step, warmup=20, constant=0.0, floor=0.05)
        batch = next(batches)
        with torch.no_grad():
            ref_better, ref_worse, _ = pair_log_probs(reference, batch)
        better, worse, _ = pair_log_probs(model, batch)
        loss = -F.logsigmoid(BETA * ((better - ref_better) - (worse - ref_worse))).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, spent = step + 1, spent + time.process_time() - begun
    model.eval()
    facts = dict(train_seconds=round(spent), steps=step, train_pairs=len(training), beta=BETA, learning_rate=args.lr,
                 held_out_pairs=len(held_out), pair_accuracy=round(accuracy(model, reference, held_out), 4))
    save(model, final)
    write_json(os.path.join(args.work, "tales-dpo.facts.json"), facts)
    log("tales-dpo", facts)


if __name__ == "__main__":
    main()
