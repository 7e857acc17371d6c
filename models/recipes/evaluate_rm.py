"""Reward models on fresh answers: score statistics, agreement of the ensemble, best-of-8.

Uses the pool `fresh`: eight answers of the policy to each of 150 held-out prompts.
"""
import os

import numpy as np
import torch

from common import arguments, log, mean_and_error, read_json, write_json
from model import load
from pairs import sequence
from sample import read_pool
from train_rm import MEMBERS, score_rows

QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.85, 0.90, 0.95, 0.99)


def statistics(values):
    values = np.array(values)
    return dict(mean=round(float(values.mean()), 5), std=round(float(values.std()), 5), n=len(values),
                quantiles={f"{q:.2f}": round(float(np.quantile(values, q)), 5) for q in QUANTILES})


def best_of(groups, scores, gold):
    """Mean gold of the answer with the highest score per prompt."""
    picked, at = [], 0
    for group in groups:
        part = scores[at:at + len(group["answers"])]
        picked.append(group["answers"][int(np.argmax(part))][gold])
        at += len(group["answers"])
    return picked


def rounded(values):
    mean, error = mean_and_error(values)
    return dict(mean=round(mean, 3), error=round(error, 3))


def main():
    args = arguments(__doc__)
    torch.set_num_threads(args.threads)
    groups = read_pool(args.work, "fresh")
    answers = [a for g in groups for a in g["answers"]]
    rows = [sequence(g["prompt"], a) for g in groups for a in g["answers"]]
    complete = [i for i, a in enumerate(answers) if a["ended"]]
    results = {}
    for gold in ("happy", "kind"):
        truth = [a[gold] for a in answers]
        table = {"base": rounded(truth), "oracle best of 8": rounded(best_of(groups, truth, gold))}
        scores = {}
        for letter in MEMBERS:
            name = f"rm-{gold}-{letter}"
            path = os.path.join(args.work, name + ".pt")
            if not os.path.exists(path):
                continue
            scores[letter] = score_rows(load(path, scalar_head=True), rows)
            facts = read_json(os.path.join(args.work, name + ".facts.json"))
            facts["stats"] = statistics([scores[letter][i] for i in complete])
            picked = rounded(best_of(groups, scores[letter], gold))
            facts["best_of_8"] = dict(picked, gain=round(picked["mean"] - table["base"]["mean"], 3))
            facts["correlation_with_gold"] = round(float(np.corrcoef(scores[letter], truth)[0, 1]), 4)
            write_json(os.path.join(args.work, name + ".facts.json"), facts)
            table[name] = dict(facts["best_of_8"], correlation_with_gold=facts["correlation_with_gold"],
                               pair_accuracy=facts["pair_accuracy"])
        if scores:
            scaled = np.array([(np.array(s) - np.mean(s)) / np.std(s) for s in scores.values()])
            table["mean of members"] = rounded(best_of(groups, scaled.mean(0), gold))
            table["minimum of members"] = rounded(best_of(groups, scaled.min(0), gold))
            correlation = np.corrcoef(scaled[:, complete])
            table["correlation"] = [[round(float(v), 4) for v in row] for row in np.atleast_2d(correlation)]
        results[gold] = table
        for name, value in table.items():
            log(gold, name, value)
    write_json(os.path.join(args.work, "rm-evaluation.json"), results)


if __name__ == "__main__":
    main()
