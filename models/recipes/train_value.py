"""Value models over the frozen arithmetic policy: how likely is this answer, so far, to end right?

`arith-value` learns at every token (TVM, Lee et al. 2024: each token carries the label of the whole answer),
`arith-outcome` at the last token only, with the same samples, seconds and parameters. Each is the policy's own
layers, frozen, one more layer trained on their output, and a scalar head: so it is a Llama with a scalar head like any
other. The trunk's output is computed once and kept, which makes many passes over few samples cheap.
"""
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from arith_problems import DEV_SEED, held_out
from arith_rollouts import QUANTILES, auroc, rollouts, rounded, training_problems, within_auroc
from arith_tokenizer import ArithTokenizer
from common import arguments, log, rng, write_json
from model import Config, LlamaLM, load, right_pad, save
from optim import schedule

PARTS = (0.25, 0.5, 0.75, 1.0)


def with_head(policy, layers=2):
    """The policy's weights under `layers` new ones and a scalar head."""
    shape = dict(vars(policy.config), layers=policy.config.layers + layers)
    model = LlamaLM(Config(**shape), scalar_head=True)
    model.load_state_dict(policy.state_dict(), strict=False)
    nn.init.normal_(model.score.weight, 0.0, 0.02)
    return model


def through(model, x, first, last):
    """States after the layers from `first` up to, not including, `last`."""
    length = x.shape[1]
    cos, sin, mask = model.cos[:length], model.sin[:length], model.causal[:length, :length][None, None]
    for layer in model.model.layers[first:last]:
        x = layer(x, cos, sin, mask, None)
    return x


def read_out(model, states, first):
    """Normalised states after the new layers, from the trunk's output."""
    return model.model.norm(through(model, states, first, len(model.model.layers)))


def scores(model, states, first):
    """Logits of P(right) at every position, from the trunk's output."""
    return model.score(read_out(model, states, first)).float()[..., 0]


def running_likelihoods(logits, ids, counted):
    """[rows, length, 3]: log-prob of each answer token, the sum so far and the least so far; 0 before the answer."""
    gained = F.log_softmax(logits[:, :-1].float(), -1).gather(2, ids[:, 1:, None])[..., 0].clamp(min=-8)
    gained = F.pad(gained, (1, 0)) * counted
    return torch.stack([gained, gained.cumsum(1), gained.cummin(1).values], -1)


class Features:
    """The trunk's output over rollouts, in batches of like lengths."""

    def __init__(self, model, found, first, size=64):
        self.batches = []
        order = sorted(range(len(found)), key=lambda i: len(found[i].whole))
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            for start in range(0, len(order), size):
                part = [found[i] for i in order[start:start + size]]
                ids, lengths = right_pad([r.whole for r in part])
                states = through(model, model.model.embed_tokens(ids), 0, first).bfloat16()
                place = torch.arange(ids.shape[1])[None]
                starts = torch.tensor([len(r.prompt) for r in part])[:, None]
                counted = (place >= starts) & (place < lengths[:, None])
                likelihoods = running_likelihoods(model.logits(model.model.norm(states)), ids, counted)
                right = torch.tensor([float(r.right) for r in part])
                self.batches.append((part, states, counted, lengths, right, likelihoods))


def train_head(policy, features, held, kind, seconds, learning_rate=1.5e-3, seed=0):
    """Train the new layers, the last norm and the head; `kind` says where the loss is taken."""
    torch.manual_seed(seed)
    model = with_head(policy).train()
    first, likelihood = policy.config.layers, nn.Linear(policy.config.hidden, 3)
    frozen = tuple(f"model.layers.{i}." for i in range(first)) + ("model.embed_tokens",)
    new = [p for name, p in model.named_parameters() if not name.startswith(frozen)] + list(likelihood.parameters())
    scale = torch.tensor([1.0, 3.0, 2.0])
    reported = 0.0
    optimizer = torch.optim.AdamW(new, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.02)
    random, spent, step, order = rng(seed), 0.0, 0, []
    while spent < seconds:
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * schedule(spent / seconds, step, warmup=20, constant=0.3, floor=0.02)
        if not order:
            order = list(range(len(features.batches)))
            random.shuffle(order)
        _, states, counted, lengths, right, likelihoods = features.batches[order.pop()]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = read_out(model, states, first)
            logits, guessed = model.score(out).float()[..., 0], likelihood(out).float()
        where = counted if kind == "value" else F.one_hot(lengths - 1, counted.shape[1]).bool()
        wanted = right[:, None].expand_as(logits)
        loss = F.binary_cross_entropy_with_logits(logits[where], wanted[where])
        loss = loss + 0.5 * F.smooth_l1_loss(guessed[counted], (likelihoods / scale)[counted])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(new, 1.0)
        optimizer.step()
        step, spent = step + 1, spent + time.process_time() - begun
        if spent - reported > 30:
            reported = spent
            found, values = read(model, held, first)
            log(kind, round(spent), "s, step", step, "loss", round(loss.item(), 4), table(values, found))
    return model.eval(), dict(train_seconds=round(spent), steps=step, epochs=round(step / len(features.batches), 1))


def place_of(one, part):
    """Index in `whole` of the last token that is read when `part` of the answer is there."""
    return len(one.prompt) + max(1, int(np.ceil(part * len(one.ids)))) - 1 if part < 1 else len(one.whole) - 1


@torch.no_grad()
def read(model, features, first):
    """(rollouts, their P(right) at each of PARTS [rollouts, parts])."""
    found, values = [], []
    for part, states, *_ in features.batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            p = torch.sigmoid(scores(model, states, first))
        for row, one in enumerate(part):
            found.append(one)
            values.append([p[row, place_of(one, x)].item() for x in PARTS])
    return found, np.array(values)


@torch.no_grad()
def log_likelihoods(policy, features):
    """Sum of the log-probs of the answer's tokens up to each of PARTS, in the order of `read`."""
    values = []
    for part, states, *_ in features.batches:
        ids, _ = right_pad([r.whole for r in part])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = policy.logits(policy.model.norm(states.float())).float()
        gained = F.log_softmax(logits[:, :-1], -1).gather(2, ids[:, 1:, None])[..., 0]
        for row, one in enumerate(part):
            start = len(one.prompt) - 1
            values.append([gained[row, start:place_of(one, x)].sum().item() for x in PARTS])
    return np.array(values)


def table(values, found):
    labels, groups = [r.right for r in found], [r.group for r in found]
    return {f"{x:.2f}": dict(pooled=rounded(auroc(values[:, i], labels)),
                             within=rounded(within_auroc(values[:, i], labels, groups)))
            for i, x in enumerate(PARTS)}


def best_of(values, found, n):
    """Share of the problems whose answer with the highest last value, of the first n, is right."""
    groups = {}
    for value, one in zip(values[:, -1], found):
        groups.setdefault(one.group, []).append((value, one.right))
    return round(float(np.mean([max(answers[:n])[1] for answers in groups.values()])), 4)


def main():
    args = arguments(__doc__, ("--seconds", dict(type=float, default=150)),
                     ("--problems", dict(type=int, default=1000)), ("--answers", dict(type=int, default=6)),
                     ("--test", dict(type=int, default=200)))
    torch.set_num_threads(args.threads)
    tokenizer, policy = ArithTokenizer(), load(os.path.join(args.work, "arith.pt"))
    first = policy.config.layers
    training = rollouts(policy, training_problems(41, args.problems), args.answers, tokenizer, seed=41)
    test = rollouts(policy, held_out(DEV_SEED, args.test), 8, tokenizer, seed=78)
    log("rollouts", len(training), "right", round(sum(r.right for r in training) / len(training), 3))
    features, held = Features(policy, training, first), Features(policy, test, first)
    likelihood = log_likelihoods(policy, held)
    for kind in ("value", "outcome"):
        name = f"arith-{kind}"
        if os.path.exists(os.path.join(args.work, name + ".pt")):
            continue
        model, facts = train_head(policy, features, held, kind, args.seconds)
        found, values = read(model, held, first)
        whole = values[:, -1]
        facts.update(
            stats=dict(mean=round(float(whole.mean()), 5), std=round(float(whole.std()), 5), n=len(whole),
                       quantiles={f"{q:.2f}": round(float(np.quantile(whole, q)), 5) for q in QUANTILES}),
            metrics=dict(train_answers=len(training), auroc=table(values, found),
                         auroc_log_likelihood=table(likelihood, found), share_right=round(float(np.mean(
                             [r.right for r in found])), 4), best_of_8=best_of(values, found, 8),
                         best_of_8_log_likelihood=best_of(likelihood, found, 8)))
        save(model, os.path.join(args.work, name + ".pt"))
        write_json(os.path.join(args.work, name + ".facts.json"), facts)
        log(name, facts)


if __name__ == "__main__":
    main()
