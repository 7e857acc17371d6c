"""Trains a sequence reward model (Bradley-Terry) on pairs of the policy's own samples.

The three members a, b, c of an ensemble differ in their pretraining (own seed, own depth and heads,
see train_lm.SHAPES), in the prompts they see and in the noise of their labels. A third of the pairs
is cut off, each answer at a place of its own with the label of the whole answer, so that the score of
a beginning means something. The score is read at the last token: the end token of a complete
answer, the last token of one that was cut.

With `--noise 0.25` a quarter of the labels is wrong whatever the difference is; these models, named rm-GOAL-MEMBER-noisy,
show what a search against a poor reward does (npm run evaluate:noise). They are no part of the pack.
"""
import math
import os
import time

import torch
import torch.nn.functional as F

from common import CONTEXT, arguments, log, rng, write_json
from model import load, right_pad, save
from optim import schedule
from pairs import all_pairs, bucketed, sequence, split
from sample import read_pool

# seed, share of the training prompts, slope of the label noise (flip with 1 / (1 + exp(slope * difference)))
MEMBERS = {"a": (11, 0.6, 4.0), "b": (12, 0.6, 4.0), "c": (13, 0.6, 4.0)}
CUT_SHARE = 0.35


def noisy_pairs(groups, gold, seed, share, wrong):
    """Pairs in random order; `wrong(difference of gold)` is the share of them whose label is false."""
    random = rng(seed)
    pairs = []
    for prompt, better, worse in all_pairs([g for g in groups if random.random() < share], gold, margin=0.1):
        flip = random.random() < wrong(better[gold] - worse[gold])
        pairs.append((prompt, worse, better) if flip else (prompt, better, worse))
    random.shuffle(pairs)
    return pairs


def texts_of(batch, random=None, cut_share=0.0, fraction=None):
    """Token rows of the better answers, then of the worse ones; some cut off."""
    rows = ([], [])
    for prompt, better, worse in batch:
        part = fraction
        if random and random.random() < cut_share:
            part = random.uniform(0.15, 0.95)
        for side, answer in zip(rows, (better, worse)):
            cut = max(1, int(part * len(answer["ids"]))) if part else None
            side.append(sequence(prompt, answer, cut)[:CONTEXT])
    return rows[0] + rows[1]


def score_rows(model, rows, size=64):
    """Scores of many rows, batched by length."""
    order, scores = sorted(range(len(rows)), key=lambda i: len(rows[i])), [0.0] * len(rows)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(order), size):
            index = order[start:start + size]
            for i, value in zip(index, model.scores(*right_pad([rows[i] for i in index])).tolist()):
                scores[i] = value
    return scores


def accuracy(model, pairs, fraction=None):
    scores = score_rows(model, texts_of(pairs, fraction=fraction))
    half = len(pairs)
    return sum(a > b for a, b in zip(scores[:half], scores[half:])) / half


def train_reward(work, letter, gold, seconds, noise=None, size=20, learning_rate=5e-4):
    name = f"rm-{gold}-{letter}" + ("" if noise is None else "-noisy")
    final = os.path.join(work, name + ".pt")
    if os.path.exists(final):
        return
    seed, share, slope = MEMBERS[letter]
    torch.manual_seed(seed)
    model = load(os.path.join(work, letter + ".pt"), scalar_head=True).train()
    training, held_out = split(read_pool(work))
    by_slope = lambda difference: 1 / (1 + math.exp(slope * difference))
    training = noisy_pairs(training, gold, seed, share, by_slope if noise is None else lambda _: noise)
    held_out = all_pairs(held_out, gold, margin=0.1)
    rng(0).shuffle(held_out)
    held_out, random = held_out[:400], rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.01)
    batches = bucketed(training, size, rng(seed))
    spent, step, running = 0.0, 0, []
    while spent < seconds:
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * schedule(spent / seconds, step, warmup=20, constant=0.0, floor=0.05)
        batch = next(batches)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = model.scores(*right_pad(texts_of(batch, random, CUT_SHARE)))
        half = len(batch)
        loss = -F.logsigmoid(scores[:half] - scores[half:]).mean()
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.001 * scores.pow(2).mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step, spent = step + 1, spent + time.process_time() - begun
        running.append(loss.item())
    model.eval()
    whole, cut = accuracy(model, held_out), accuracy(model, held_out, 0.5)
    facts = dict(train_seconds=round(spent), steps=step, pairs_seen=step * size, train_pairs=len(training),
                 held_out_pairs=len(held_out), pair_accuracy=round(whole, 4),
                 pair_accuracy_error=round((whole * (1 - whole) / len(held_out)) ** 0.5, 4),
                 pair_accuracy_cut_half=round(cut, 4), last_loss=round(sum(running[-20:]) / len(running[-20:]), 4))
    save(model, final)
    write_json(os.path.join(work, name + ".facts.json"), facts)
    log(name, facts)


def main():
    args = arguments(__doc__, ("--gold", dict(choices=["happy", "kind"], required=True)),
                     ("--letters", dict(default="abc")), ("--seconds", dict(type=float, default=60)),
                     ("--noise", dict(type=float, default=None, help="share of false labels, in place of the usual noise")))
    torch.set_num_threads(args.threads)
    for letter in args.letters:
        train_reward(args.work, letter, args.gold, args.seconds, args.noise)


if __name__ == "__main__":
    main()
