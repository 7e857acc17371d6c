"""Batched sampling with a key-value cache, optionally guided; and the pool of samples the rewards learn from.

Run as a script, it samples several answers of the policy to each training prompt (half openings,
half chat requests) and stores them with their gold scores. `--part i --parts n` splits the work
over processes.
"""
import copy
import os
import time

import torch
import torch.nn.functional as F

from common import EOT, FIRST_TEXT_ID, MAX_NEW, arguments, log, read_json, read_jsonl, rng, write_json
from corpus import chat_prefix
from gold import GOLD
from model import NEG, load
from prompts import request
from tokenizer import Tokenizer

HELD_OUT_FROM = 3000  # prompts from here on are never trained on


class Cache:
    """Keys and values of one layer for a left-padded batch; one column is added per step."""

    def __init__(self, capacity):
        self.capacity, self.used, self.k, self.v = capacity, 0, None, None

    def extend(self, k, v):
        if self.k is None:
            rows, heads, _, size = k.shape
            self.k = k.new_zeros(rows, heads, self.capacity, size)
            self.v = k.new_zeros(rows, heads, self.capacity, size)
        end = self.used + k.shape[2]
        self.k[:, :, self.used:end] = k
        self.v[:, :, self.used:end] = v
        self.used = end
        return self.k[:, :, :end], self.v[:, :, :end]

    def keep(self, rows):
        self.k, self.v = self.k[rows], self.v[rows]


def fast_copy(model):
    """A copy for inference whose matrices are bfloat16 (embeddings and norms stay as they are)."""
    model = copy.deepcopy(model).eval()
    for name, p in model.named_parameters():
        if "proj" in name:
            p.data = p.data.bfloat16()
    return model


def combine(logits, weights, ratio):
    """log p + sum w log q, or with `ratio` log p + sum w (log q - log p); special ids masked."""
    logs = [F.log_softmax(l.float(), -1) for l in logits]
    total = logs[0].clone()
    for weight, q in zip(weights, logs[1:]):
        total += weight * (q - logs[0] if ratio else q)
    total[:, 1:FIRST_TEXT_ID] = NEG
    return total, logs[0]


@torch.no_grad()
def generate(base, prompts, guides=(), ratio=False, max_new=MAX_NEW, seed=0, rows=256, temperature=1.0):
    """Sample one answer per prompt (lists of ids).

    `guides`: (model, weight) pairs. Returns (answers, ended, log-probabilities under the base): an
    answer holds its ids without the end token, `ended` says whether there was one.
    """
    generator = torch.Generator().manual_seed(seed)
    models, weights = [base] + [m for m, _ in guides], [w for _, w in guides]
    answers, ended, base_logs = [[] for _ in prompts], [False] * len(prompts), [0.0] * len(prompts)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), rows):
        index = order[start:start + rows]
        width = max(len(prompts[i]) for i in index)
        ids = torch.zeros(len(index), width, dtype=torch.long)
        real = torch.zeros(len(index), width + max_new, dtype=torch.bool)
        for row, i in enumerate(index):
            ids[row, width - len(prompts[i]):] = torch.tensor(prompts[i])
            real[row, width - len(prompts[i]):] = True
        positions = (real[:, :width].long().cumsum(1) - 1).clamp(min=0)
        mask = base.causal[:width, :width][None, None] + (~real[:, :width]).float()[:, None, None] * NEG
        caches = [[Cache(width + max_new) for _ in m.model.layers] for m in models]
        live = torch.tensor(index)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            for step in range(max_new):
                logits = [m.logits(m.hidden(ids, c, positions, mask)[:, -1]) for m, c in zip(models, caches)]
                total, base_log = combine(logits, weights, ratio)
                chosen = torch.multinomial((total / temperature).softmax(-1), 1, generator=generator)[:, 0]
                gained = base_log.gather(1, chosen[:, None])[:, 0].tolist()
                for i, token, value in zip(live.tolist(), chosen.tolist(), gained):
                    base_logs[i] += value
                    if token == EOT:
                        ended[i] = True
                    else:
                        answers[i].append(token)
                going = chosen != EOT
                if not going.any():
                    break
                column = width + step
                positions = positions[:, -1:] + 1
                # Copying the caches costs, so finished rows leave in batches.
                finished = int((~going).sum())
                if finished:
                    stay = going.nonzero()[:, 0]
                    live, chosen, positions, real = live[stay], chosen[stay], positions[stay], real[stay]
                    for cache in (c for per_model in caches for c in per_model):
                        cache.keep(stay)
                ids = chosen[:, None]
                mask = (~real[:, :column + 1]).float()[:, None, None] * NEG
                mask[..., column:] = 0
    return answers, ended, base_logs


def prompt_set(data, first, count, seed, encode):
    """`count` prompts from the stories no model was trained on: openings and chat requests in turn."""
    random = rng(seed)
    stories = read_jsonl(data, "tales_prompts")[first:first + count]
    prompts = []
    for i, story in enumerate(stories):
        if i % 2 == 0:
            prompts.append([EOT] + encode(story["prompt"]))
        else:
            prompts.append(chat_prefix(encode, request(story, random)))
    return prompts


def main():
    args = arguments(__doc__, ("--prompts", dict(type=int, default=1500)), ("--answers", dict(type=int, default=6)),
                     ("--first", dict(type=int, default=0)), ("--out", dict(default="pool")),
                     ("--part", dict(type=int, default=0)), ("--parts", dict(type=int, default=1)))
    torch.set_num_threads(args.threads)
    target = os.path.join(args.work, f"{args.out}{args.part}.json")
    if os.path.exists(target):
        return
    tokenizer = Tokenizer(args.data)
    policy = fast_copy(load(os.path.join(args.work, "policy.pt")))
    prompts = prompt_set(args.data, args.first, args.prompts, 5, tokenizer.encode)[args.part::args.parts]
    begun = time.time()
    repeated = [p for p in prompts for _ in range(args.answers)]
    answers, ended, base_logs = generate(policy, repeated, seed=100 + args.first + args.part)
    groups = []
    for i, prompt in enumerate(prompts):
        rows = []
        for j in range(i * args.answers, (i + 1) * args.answers):
            text = tokenizer.decode(answers[j])
            rows.append(dict(ids=answers[j], ended=ended[j], base=base_logs[j],
                             **{name: round(score(text), 4) for name, score in GOLD.items()}))
        groups.append(dict(prompt=prompt, answers=rows))
    write_json(target, groups)
    spent = time.time() - begun
    log("sampled", len(repeated), "answers in", round(spent), "s,", round(sum(map(len, answers)) / spent), "tokens/s,",
        "ended", round(sum(ended) / len(ended), 4))


def read_pool(work, pool="pool"):
    """All sampled groups of a pool, in the order of their parts."""
    parts = sorted(name for name in os.listdir(work) if name.startswith(pool) and name.endswith(".json"))
    return [group for name in parts for group in read_json(os.path.join(work, name))]


if __name__ == "__main__":
    main()
