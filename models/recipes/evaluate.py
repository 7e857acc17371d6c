"""Measures guided sampling on held-out prompts (half openings, half chat requests).

Every setting is run on the same prompts with the same seeds. Standard errors are over the answers.
"""
import os
import time

import torch

from common import arguments, log, mean_and_error, read_json, write_json
from gold import GOLD
from model import load
from sample import HELD_OUT_FROM, fast_copy, generate, prompt_set
from tokenizer import Tokenizer

# name: ([(guide, weight)], ratio)
SETTINGS = {
    "unguided": ([], False),
    **{f"happy {w}": ([("arm-happy", w)], False) for w in (0.25, 0.5, 1.0, 2.0)},
    **{f"kind {w}": ([("arm-kind", w)], False) for w in (0.5, 1.0)},
    **{f"small {w}": ([("arm-happy-small", w)], False) for w in (0.5, 1.0)},
    "happy .5 + kind .5": ([("arm-happy", 0.5), ("arm-kind", 0.5)], False),
    "ratio happy .3 - kind .3": ([("arm-happy", 0.3), ("arm-kind", -0.3)], True),
    "ratio happy .5": ([("arm-happy", 0.5)], True),
    "ratio happy 1": ([("arm-happy", 1.0)], True),
    "ratio happy -.5": ([("arm-happy", -0.5)], True),
    "dpo": ("tales-dpo", False),
}


def distinct_bigrams(texts):
    pairs = [pair for t in texts for pair in zip(t.split(), t.split()[1:])]
    return len(set(pairs)) / max(1, len(pairs))


def measure(texts, ended, base_logs, lengths):
    """The figures of one setting."""
    result = {}
    for name, score in GOLD.items():
        mean, error = mean_and_error([score(t) for t in texts])
        result[name], result[name + "_error"] = round(mean, 3), round(error, 3)
    tokens = sum(lengths) + sum(ended)
    result["base_nll"] = round(-sum(base_logs) / tokens, 4)
    result["tokens"] = round(sum(lengths) / len(lengths), 1)
    result["no_end"] = round(1 - sum(ended) / len(ended), 4)
    result["distinct_bigrams"] = round(distinct_bigrams(texts), 4)
    return result


def main():
    args = arguments(__doc__, ("--prompts", dict(type=int, default=200)), ("--seeds", dict(type=int, default=3)),
                     ("--only", dict(default="", help="comma-separated settings")),
                     ("--out", dict(default="evaluation.json")), ("--show", dict(type=int, default=0)))
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer(args.data)
    prompts = prompt_set(args.data, HELD_OUT_FROM, args.prompts, 9, tokenizer.encode)
    path = os.path.join(args.work, args.out)
    results = read_json(path) if os.path.exists(path) else {}
    models = {}

    def model(name):
        if name not in models:
            models[name] = fast_copy(load(os.path.join(args.work, name + ".pt")))
        return models[name]

    for name in args.only.split(",") if args.only else SETTINGS:
        guides, ratio = SETTINGS[name]
        replaced = guides if isinstance(guides, str) else None
        needed = [replaced] if replaced else [g for g, _ in guides]
        if name in results or any(not os.path.exists(os.path.join(args.work, n + ".pt")) for n in needed):
            continue
        begun, per_seed, pooled = time.time(), [], ([], [], [], [])
        for seed in range(args.seeds):
            base = model(replaced or "policy")
            answers, ended, logs = generate(base, prompts, [] if replaced else [(model(g), w) for g, w in guides],
                                            ratio, seed=40 + seed)
            texts = [tokenizer.decode(a) for a in answers]
            one = (texts, ended, logs, [len(a) for a in answers])
            per_seed.append(measure(*one))
            for store, values in zip(pooled, one):
                store.extend(values)
        result = measure(*pooled)
        # Distinct bigrams depend on how much text there is: the mean over seeds, each over all prompts.
        result["distinct_bigrams"] = round(sum(r["distinct_bigrams"] for r in per_seed) / len(per_seed), 4)
        result["answers"] = len(pooled[0])
        results = read_json(path) if os.path.exists(path) else {}
        results[name] = result
        write_json(path, results)
        log(name, result, round(time.time() - begun), "s")
        for text in pooled[0][:args.show]:
            print("   >>", text)


if __name__ == "__main__":
    main()
