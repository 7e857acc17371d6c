"""Samples of the arithmetic policy with the checker's verdict, and what is measured on them.

Run as a script, it writes the policy's own facts: how often it is right, and the entropy of its tokens.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F

from arith_problems import DEV_SEED, forbidden, held_out, problem
from arith_tokenizer import ArithTokenizer
from common import EOT, FIRST_TEXT_ID, arguments, log, mean_and_error, read_json, rng, write_json
from model import NEG, load, right_pad
from sample import fast_copy, generate
from train_arith import MAX_NEW_ARITH

QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.85, 0.90, 0.95, 0.99)


class Rollout:
    """One sampled answer to a problem."""

    def __init__(self, group, prompt, ids, ended, right):
        self.group, self.prompt, self.ids, self.ended, self.right = group, prompt, ids, ended, right
        self.worse_than_new = 0.0  # share of the other answers of its problem that are right where it is not

    @property
    def whole(self):
        """Prompt and answer, the end token included where it was drawn."""
        return self.prompt + self.ids + ([EOT] if self.ended else [])


def rollouts(model, problems, per_problem, tokenizer, seed):
    """`per_problem` samples of each problem at temperature 1, labelled by the checker."""
    prompts = [[EOT] + tokenizer.encode(p.prompt) for p in problems for _ in range(per_problem)]
    answers, ended, _ = generate(fast_copy(model), prompts, max_new=MAX_NEW_ARITH, seed=seed, rows=512)
    found = []
    for i, (prompt, ids) in enumerate(zip(prompts, answers)):
        group = i // per_problem
        found.append(Rollout(group, prompt, ids, ended[i], problems[group].solved_by(tokenizer.decode(ids))))
    for i in range(0, len(found), per_problem):
        share = sum(r.right for r in found[i:i + per_problem]) / max(1, per_problem - 1)
        for one in found[i:i + per_problem]:
            one.worse_than_new = 0.0 if one.right else share
    return found


def training_problems(seed, count):
    random, banned, found = rng(seed), forbidden(), []
    while len(found) < count:
        one = problem(random, 3, 5)
        if one.prompt not in banned:
            found.append(one)
    return found


def auroc(scores, labels):
    """Probability that a right one scores above a wrong one; ties count half."""
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    if labels.all() or not labels.any():
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    right = labels.sum()
    return float((ranks[labels].sum() - right * (right + 1) / 2) / (right * (len(labels) - right)))


def within_auroc(scores, labels, groups):
    """Mean AUROC over the problems that have both right and wrong answers."""
    scores, labels, groups = np.asarray(scores), np.asarray(labels, bool), np.asarray(groups)
    values = [auroc(scores[groups == g], labels[groups == g]) for g in np.unique(groups)]
    return float(np.nanmean([v for v in values if v == v])) if any(v == v for v in values) else float("nan")


def rounded(value, digits=4):
    """None for what is not a number: JSON has none."""
    return round(float(value), digits) if value == value else None


@torch.no_grad()
def entropies(model, found, limit=400):
    """Quantiles and mean of the next-token entropy in nats over sampled answers; special ids masked."""
    values = []
    for start in range(0, min(limit, len(found)), 64):
        part = found[start:start + 64]
        ids, _ = right_pad([r.whole for r in part])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids).float()
        logits[..., 1:FIRST_TEXT_ID] = NEG
        logs = F.log_softmax(logits, -1)
        entropy = -(logs.exp() * logs).sum(-1)
        for row, r in enumerate(part):
            values += entropy[row, len(r.prompt) - 1:len(r.whole) - 1].tolist()
    return dict(mean=round(float(np.mean(values)), 5),
                quantiles={f"{q:.2f}": round(float(np.quantile(values, q)), 5) for q in QUANTILES})


def main():
    args = arguments(__doc__, ("--problems", dict(type=int, default=100)))
    torch.set_num_threads(args.threads)
    model, tokenizer = load(os.path.join(args.work, "arith.pt")), ArithTokenizer()
    found = rollouts(model, held_out(DEV_SEED, args.problems), 8, tokenizer, seed=80)
    right = np.array([r.right for r in found]).reshape(-1, 8)
    share, error = mean_and_error(right.mean(1).tolist())
    last = read_json(os.path.join(args.work, "arith.history.json"))[-1]
    facts = dict(train_seconds=last["seconds"], entropy=entropies(model, found), metrics=dict(
        train_tokens=last["tokens"], steps=last["step"], held_out_problems=len(right), samples_per_problem=8,
        sampled_once=rounded(share), sampled_once_error=rounded(error), any_of_8=rounded(right.any(1).mean()),
        share_ended=rounded(np.mean([r.ended for r in found]))))
    write_json(os.path.join(args.work, "arith.facts.json"), facts)
    log("arith", facts)


if __name__ == "__main__":
    main()
