"""Teaches the arithmetic policy to judge its own answers, and measures how well it does.

After an answer, or a beginning of one, a short turn asks `<|user|>Start over?<|assistant|>`; the policy says <|yes|>
(a new answer would do better) or <|no|>. The labels are on the policy's own samples, by the exact checker: against
another sample of the same problem, `yes` if that one is right and this one is not (a tie is a `no`), in expectation
over the other samples. Adaptive Inference-Time Compute (Manvi et al. 2024): P(no) is the reward. Batches of fresh
problems are mixed in, so that answers stay as good as they were.
"""
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from arith_problems import DEV_SEED, held_out
from arith_rollouts import auroc, rollouts, rounded, training_problems, within_auroc
from arith_tokenizer import ArithTokenizer
from common import ASSISTANT, NO, USER, YES, arguments, log, mean_and_error, rng, write_json
from model import load, right_pad, save
from optim import schedule
from train_arith import batches
from train_lm import loss_of

QUESTION = "Start over?"


def asked(one, cut, tokenizer):
    """Ids up to where <|yes|> or <|no|> is read, after the first `cut` tokens of the answer."""
    return one.prompt + one.ids[:cut] + [USER] + tokenizer.encode(QUESTION) + [ASSISTANT]


def judgement_logits(model, rows):
    """Logits of (yes, no) at the end of each row, and all logits there."""
    ids, lengths = right_pad(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model.logits(model.hidden(ids)[torch.arange(len(ids)), lengths - 1]).float()
    return logits


def keep_probability(model, rows, size=128):
    """P(no) of each row, renormalised over the two answers."""
    found = []
    with torch.no_grad():
        for start in range(0, len(rows), size):
            logits = judgement_logits(model, rows[start:start + size])
            found += torch.sigmoid(logits[:, NO] - logits[:, YES]).tolist()
    return found


def reliability(probabilities, labels, bins=10):
    """Rows of (from, to, count, mean probability, share right)."""
    p, y = np.asarray(probabilities), np.asarray(labels, float)
    table = []
    for low in np.arange(bins) / bins:
        inside = (p >= low) & ((p < low + 1 / bins) | (low + 1 / bins >= 1))
        if inside.any():
            table.append(dict(at_least=round(float(low), 2), count=int(inside.sum()),
                              mean=round(float(p[inside].mean()), 4), right=round(float(y[inside].mean()), 4)))
    return table


def threshold(probabilities, labels, share):
    """The lowest P(no) from which on at least `share` of the answers are right; None if there is none."""
    order = np.argsort(-np.asarray(probabilities))
    right = np.cumsum(np.asarray(labels, float)[order]) / np.arange(1, len(order) + 1)
    good = np.nonzero(right >= share)[0]
    return round(float(np.asarray(probabilities)[order][good[-1]]), 4) if len(good) else None


def log_odds(p):
    p = np.clip(np.asarray(p, np.float64), 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def fitted(probabilities, wanted, steps=50):
    """(scale, shift) with which sigmoid(scale * log-odds + shift) is nearest to `wanted` (Platt 1999), by Newton."""
    x = np.stack([log_odds(probabilities), np.ones(len(probabilities))], 1)
    wanted, w = np.asarray(wanted, np.float64), np.array([1.0, 0.0])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(2)
        w = w - np.linalg.solve(hessian, x.T @ (p - wanted) + 1e-3 * (w - np.array([1.0, 0.0])))
    return float(w[0]), float(w[1])


def calibration(model, found, tokenizer):
    """What a server needs to know before it trusts the judgements: fitted on every other problem, measured on the rest."""
    labels, groups = np.array([r.right for r in found]), np.array([r.group for r in found])
    record = dict(question=QUESTION, auroc={})
    for part in (0.25, 0.5, 0.75, 1.0):
        rows = [asked(r, int(np.ceil(part * len(r.ids))), tokenizer) for r in found]
        p = np.array(keep_probability(model, rows))
        record["auroc"][f"{part:.2f}"] = dict(pooled=rounded(auroc(p, labels)),
                                              within=rounded(within_auroc(p, labels, groups)))
    kept = np.array([1 - r.worse_than_new for r in found])  # p is that of the whole answers from here on
    fit, rest = groups % 2 == 0, groups % 2 == 1
    scale, shift = fitted(p[fit], kept[fit])
    told = 1 / (1 + np.exp(-(scale * log_odds(p[rest]) + shift)))
    record.update(scale=round(scale, 4), shift=round(shift, 4), count=int(rest.sum()),
                  share_right=rounded(labels[rest].mean()), brier=rounded(np.mean((told - kept[rest]) ** 2)),
                  brier_uncalibrated=rounded(np.mean((p[rest] - kept[rest]) ** 2)),
                  reliability=reliability(told, kept[rest]),
                  stop_at=threshold(told, labels[rest], 0.9))  # share right >= 0.9 from here on
    return record


def judgement_batches(found, tokenizer, random, size):
    """Endless (rows, P(yes) wanted): half whole answers, half cut anywhere."""
    while True:
        drawn = random.sample(found, min(size, len(found)))
        cuts = [len(r.ids) if random.random() < 0.5 else random.randint(1, max(1, len(r.ids))) for r in drawn]
        yield [asked(r, cut, tokenizer) for r, cut in zip(drawn, cuts)], torch.tensor([r.worse_than_new for r in drawn])


def tune(work, seconds, count, learning_rate=5e-4, size=48):
    tokenizer = ArithTokenizer()
    torch.manual_seed(1)
    model = load(os.path.join(work, "arith.pt")).train()
    found = rollouts(model, training_problems(31, count), 6, tokenizer, seed=31)
    log("rollouts", len(found), "right", round(sum(r.right for r in found) / len(found), 3))
    random = rng(5)
    judged, fresh = judgement_batches(found, tokenizer, random, size), batches(tokenizer, random)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    spent, step = 0.0, 0
    while spent < seconds:
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * schedule(spent / seconds, step, warmup=20, constant=0.0, floor=0.05)
        rows, yes = next(judged)
        logs = F.log_softmax(judgement_logits(model, rows), -1)
        judgement = -(yes * logs[:, YES] + (1 - yes) * logs[:, NO]).mean()
        (judgement + loss_of(model, *next(fresh))).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step, spent = step + 1, spent + time.process_time() - begun
    return model.eval(), dict(tune_seconds=round(spent), tune_steps=step)


def main():
    args = arguments(__doc__, ("--seconds", dict(type=float, default=90)), ("--problems", dict(type=int, default=500)),
                     ("--test", dict(type=int, default=200)))
    torch.set_num_threads(args.threads)
    final = os.path.join(args.work, "arith-judging.pt")
    if os.path.exists(final):
        return
    model, facts = tune(args.work, args.seconds, args.problems)
    save(model, final)
    tokenizer = ArithTokenizer()
    problems = held_out(DEV_SEED, args.test)
    sampled = rollouts(model, problems, 8, tokenizer, seed=77)
    share, error = mean_and_error([np.mean([r.right for r in sampled[i:i + 8]]) for i in range(0, len(sampled), 8)])
    any_right = np.mean([any(r.right for r in sampled[i:i + 8]) for i in range(0, len(sampled), 8)])
    facts = dict(facts, self_evaluation=calibration(model, sampled, tokenizer),
                 metrics=dict(problems=len(problems), sampled_once=round(share, 4), sampled_once_error=round(error, 4),
                              any_of_8=round(float(any_right), 4)))
    write_json(os.path.join(args.work, "arith-judging.facts.json"), facts)
    log("arith-judging", facts)


if __name__ == "__main__":
    main()
