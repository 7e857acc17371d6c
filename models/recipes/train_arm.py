"""Trains a guide with the GenARM objective on length-matched pairs of the policy's own samples.

loss = -log sigmoid(beta_r * (log q(better) - log q(worse)))
       + nll_weight * NLL per token of the better answer + both_weight * NLL per token of both
where log q sums over the answer's tokens, the end token included. The NLL terms keep the guide a
language model. The one over both answers (samples of the policy, so that it holds the guide near the
policy) matters where a story has already gone wrong: without it the guide calls every likely
continuation bad there, and what is left over is repeated without end.
"""
import os
import time

import torch
import torch.nn.functional as F

from common import arguments, log, rng, write_json
from model import load, right_pad, save
from optim import schedule
from pairs import bucketed, length_matched_pairs, sequence, split
from sample import read_pool

BETA_R = 0.05


def answer_log_probs(model, sequences, starts):
    """Sum of the log-probabilities of each row's tokens from its start on, and the number of tokens."""
    ids, lengths = right_pad(sequences)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = model.hidden(ids[:, :-1])
        place = torch.arange(1, ids.shape[1])[None]
        counted = (place >= torch.tensor(starts)[:, None]) & (place < lengths[:, None])
        logits = model.logits(states[counted])
    losses = F.cross_entropy(logits.float(), ids[:, 1:][counted], reduction="none")
    row = counted.nonzero()[:, 0]
    return -torch.zeros(len(ids)).index_add(0, row, losses), counted.sum(1)


def pair_log_probs(model, batch):
    sequences = [sequence(p, b) for p, b, _ in batch] + [sequence(p, w) for p, _, w in batch]
    starts = [len(p) for p, _, _ in batch] * 2
    sums, counts = answer_log_probs(model, sequences, starts)
    half = len(batch)
    return sums[:half], sums[half:], counts


@torch.no_grad()
def accuracy(model, pairs, size=32):
    """Share of the pairs whose better answer has the higher log q."""
    right = 0
    for start in range(0, len(pairs), size):
        better, worse, _ = pair_log_probs(model, pairs[start:start + size])
        right += (better > worse).sum().item()
    return right / len(pairs)


def train_guide(work, start, name, gold, seconds, nll_weight, both_weight, learning_rate, size=16,
                seed=0):
    """Train from `start`.pt to `name`.pt for `seconds`; stores its facts beside it."""
    final = os.path.join(work, name + ".pt")
    if os.path.exists(final):
        return
    torch.manual_seed(seed)
    model = load(os.path.join(work, start + ".pt")).train()
    training, held_out = (length_matched_pairs(part, gold) for part in split(read_pool(work)))
    held_out = held_out[:500]
    before = accuracy(model, held_out)
    log(name, "pairs", len(training), "held out", len(held_out), "accuracy before", round(before, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    batches = bucketed(training, size, rng(seed))
    spent, step, running = 0.0, 0, []
    while spent < seconds:
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * schedule(spent / seconds, step, warmup=20, constant=0.0, floor=0.05)
        batch = next(batches)
        better, worse, counts = pair_log_probs(model, batch)
        preference = -F.logsigmoid(BETA_R * (better - worse)).mean()
        loss = preference - nll_weight * (better.sum() / counts[:len(batch)].sum())
        loss = loss - both_weight * ((better.sum() + worse.sum()) / counts.sum())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        spent += time.process_time() - begun
        running.append(preference.item())
        if step % 50 == 0:
            log(name, "step", step, "seconds", round(spent), "loss", round(sum(running[-50:]) / 50, 4))
    model.eval()
    share = accuracy(model, held_out)
    facts = dict(train_seconds=round(spent), steps=step, pairs_seen=step * size, train_pairs=len(training),
                 held_out_pairs=len(held_out), pair_accuracy_before=round(before, 4), pair_accuracy=round(share, 4),
                 pair_accuracy_error=round((share * (1 - share) / len(held_out)) ** 0.5, 4),
                 beta_r=BETA_R, nll_weight=nll_weight, both_weight=both_weight, learning_rate=learning_rate)
    save(model, final)
    write_json(os.path.join(work, name + ".facts.json"), facts)
    log(name, facts)


def main():
    args = arguments(__doc__, ("--name", dict(required=True)), ("--start", dict(default="policy")),
                     ("--gold", dict(choices=["happy", "kind"], required=True)),
                     ("--seconds", dict(type=float, default=300)), ("--nll", dict(type=float, default=0.2)),
                     ("--both", dict(type=float, default=0.0)),
                     ("--lr", dict(type=float, default=5e-4)))
    torch.set_num_threads(args.threads)
    train_guide(args.work, args.start, args.name, args.gold, args.seconds, args.nll, args.both, args.lr)


if __name__ == "__main__":
    main()
