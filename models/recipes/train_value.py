"""Verifiers of the arithmetic policy: how likely is this answer, so far, to end right?

Under both lies the policy itself, frozen, as it is shipped. A small head reads, for every token of the answer, the
policy's state and how much the token surprised it: the log-prob of the token, the entropy of the law that it was drawn
from, how far it lies below that law's likeliest, and the log-prob of the answer so far. What it makes of each token is
summed up over the answer, and the sum and the last token give the score.

`arith-value` learns at every token (TVM, Lee et al. 2024: the target of a token is the share of right ones among the
answers of its problem that begin alike), `arith-outcome` at the last token only, with the same samples, seconds and
parameters. The policy is run over the samples once; a fourth set of problems says when to stop.
"""
import copy
import os
import time
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from arith_problems import forbidden, held_out
from arith_rollouts import QUANTILES, auroc, rollouts, rounded, training_problems, within_auroc
from arith_tokenizer import ArithTokenizer
from common import arguments, log, mean_and_error, rng, write_json
from model import Config, LlamaLM, load, right_pad
from optim import schedule

PARTS = (0.25, 0.5, 0.75, 1.0)
EVALUATION_SEED = 20261125  # problems that no training and no choice saw
LEAST_LOG_PROB = -8.0
SUM_SCALE = 0.125  # keeps sums over an answer as large as what is summed
EVIDENCE = 4


@dataclass
class HeadConfig:
    width: int = 96
    inner: int = 64
    opens: int = ArithTokenizer().ids[b"\n"]  # the answer begins with the first of these


class EvidenceHead(nn.Module):
    """Scores of every position from the policy's states [rows, length, hidden] and the evidence [rows, length, 4]."""

    def __init__(self, hidden, c):
        super().__init__()
        self.state = nn.Linear(hidden, c.width)
        self.surprise = nn.Linear(EVIDENCE, c.width, bias=False)
        self.mix = nn.Linear(2 * c.width, c.inner)
        self.score = nn.Linear(c.inner, 1)

    def forward(self, states, evidence, counted, drop=0.0):
        """Logits [rows, length]; `counted` [rows, length, 1] is 1 on the answer."""
        states = F.dropout(states, drop, self.training)
        x = F.dropout(F.silu(self.state(states).float() + self.surprise(evidence).float()) * counted, drop, self.training)
        seen = torch.cat([x, x.cumsum(1) * SUM_SCALE], -1)
        return self.score(F.dropout(F.silu(self.mix(seen).float()), drop, self.training)).float()[..., 0]


class Verifier(nn.Module):
    """A frozen policy and a head, under the names of the checkpoint."""

    def __init__(self, policy, head_config):
        super().__init__()
        self.policy, self.head_config, self.config = policy, head_config, policy.config
        self.evidence = EvidenceHead(policy.config.hidden, head_config)

    def read(self, ids):
        """(states, evidence, counted) of right-padded ids; the law of a token is the one before it."""
        states = self.policy.hidden(ids).float()
        with torch.autocast("cpu", enabled=False):
            law = F.log_softmax(F.linear(states, self.policy.model.embed_tokens.weight), -1)
        law = torch.cat([law[:, :1], law[:, :-1]], 1)
        counted = ((ids == self.head_config.opens).cumsum(1) > 0).float()[..., None]
        gained = law.gather(2, ids[..., None]).clamp(min=LEAST_LOG_PROB) * counted
        entropy = -(law.exp() * law).sum(-1, keepdim=True)
        below = law.amax(-1, keepdim=True) - gained
        return states, torch.cat([gained, entropy, below, gained.cumsum(1)], -1) * counted, counted

    def forward(self, ids):
        """P(right) at every position."""
        return torch.sigmoid(self.evidence(*self.read(ids)))

    def parameter_count(self):
        return sum(p.numel() for p in self.parameters())

    def tensors(self):
        """The checkpoint: the policy's names, and `evidence.*`."""
        return dict(self.policy.state_dict(), **{f"evidence.{k}": v for k, v in self.evidence.state_dict().items()})


def save_verifier(model, path):
    torch.save(dict(config=asdict(model.config), head=asdict(model.head_config), state=model.state_dict()), path)


def load_verifier(path):
    stored = torch.load(path, map_location="cpu")
    model = Verifier(LlamaLM(Config(**stored["config"])), HeadConfig(**stored["head"]))
    model.load_state_dict(stored["state"])
    return model.eval()


def shared_targets(found):
    """For each rollout the share of right ones among those of its problem that begin alike, token by token."""
    counts = {}
    for one in found:
        for end in range(1, len(one.whole) - len(one.prompt) + 1):
            seen = counts.setdefault((one.group, tuple(one.whole[len(one.prompt):len(one.prompt) + end])), [0, 0])
            seen[0] += one.right
            seen[1] += 1
    for one in found:
        answer = one.whole[len(one.prompt):]
        shares = [counts[one.group, tuple(answer[:end])] for end in range(1, len(answer) + 1)]
        one.targets = [right / all_ for right, all_ in shares]


class Batches:
    """The policy's reading of rollouts, kept; rows of like lengths stand together."""

    def __init__(self, model, found, size=192):
        shared_targets(found)
        self.found, self.batches = [], []
        order = sorted(range(len(found)), key=lambda i: len(found[i].whole))
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            for start in range(0, len(order), size):
                part = [found[i] for i in order[start:start + size]]
                ids, _ = right_pad([r.whole for r in part])
                first = min(len(r.prompt) for r in part)  # nothing before an answer counts
                states, evidence, counted = (x[:, first:] for x in model.read(ids))
                targets, real, last = (torch.zeros(counted.shape[:2]) for _ in range(3))
                for row, one in enumerate(part):
                    begin, end = len(one.prompt) - first, len(one.whole) - first
                    targets[row, begin:end] = torch.tensor(one.targets)
                    real[row, begin:end] = 1
                    last[row, end - 1] = 1
                self.found += part
                self.batches.append((states.bfloat16(), evidence, counted, targets, real, last, first, part))


def loss_of(head, batch, kind, drop=0.0):
    states, evidence, counted, targets, real, last, _, part = batch
    logits = head(states, evidence, counted, drop)
    if kind == "value":
        return F.binary_cross_entropy_with_logits(logits, targets, real, reduction="sum") / real.sum()
    right = torch.tensor([float(r.right) for r in part])[:, None].expand_as(logits)
    return F.binary_cross_entropy_with_logits(logits, right, last, reduction="sum") / last.sum()


def evidence_scales(batches):
    """The spread of each of the four kinds of evidence, over answers."""
    rows = torch.cat([evidence[real.bool()] for _, evidence, _, _, real, *_ in batches.batches])
    return rows.std(0)


def held_loss(head, held, kind):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        return float(np.mean([loss_of(head.eval(), batch, kind).item() for batch in held.batches]))


def train_head(model, batches, held, kind, seconds, learning_rate=2e-3, drop=0.25, seed=0):
    """Train the head in place; what is kept is best on the problems of `held`."""
    torch.manual_seed(seed)
    head = model.evidence = EvidenceHead(model.config.hidden, model.head_config)
    # Evidence is learnt in units of its spread, which the weights take in at the end.
    scales = evidence_scales(batches)
    spread = [(s, e / scales, *rest) for s, e, *rest in batches.batches]
    held_spread = copy.copy(held)
    held_spread.batches = [(s, e / scales, *rest) for s, e, *rest in held.batches]
    optimizer = torch.optim.AdamW(head.parameters(), lr=learning_rate, weight_decay=0.05)
    random, spent, step, order, best, looked = rng(seed), 0.0, 0, [], (float("inf"), None, 0), 0.0
    while spent < seconds:
        begun = time.process_time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * schedule(spent / seconds, step, warmup=20, constant=0.4, floor=0.02)
        if not order:
            order = list(range(len(spread)))
            random.shuffle(order)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(head.train(), spread[order.pop()], kind, drop)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        step, spent = step + 1, spent + time.process_time() - begun
        if spent - looked > seconds / 15 or spent >= seconds:
            looked, now = spent, held_loss(head, held_spread, kind)
            log(kind, round(spent), "s, step", step, "loss", round(loss.item(), 4), "held out", round(now, 4))
            if now < best[0]:
                best = (now, copy.deepcopy(head.state_dict()), step)
    head.load_state_dict(best[1])
    head.surprise.weight.data /= scales
    return dict(train_seconds=round(spent), steps=step, kept_step=best[2], epochs=round(step / len(spread), 1))


def place_of(one, part):
    """Index in `whole` of the last token that is read when `part` of the answer is there."""
    return len(one.prompt) + max(1, int(np.ceil(part * len(one.ids)))) - 1 if part < 1 else len(one.whole) - 1


@torch.no_grad()
def values_of(batches, read):
    """What `read` says of a batch, [rows, length], at each of PARTS: [rollouts, parts]."""
    values = []
    for batch in batches.batches:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = read(batch)
        values += [[out[row, place_of(one, x) - batch[6]].item() for x in PARTS] for row, one in enumerate(batch[7])]
    return np.array(values)


def table(values, found):
    labels, groups = [r.right for r in found], [r.group for r in found]
    return {f"{x:.2f}": dict(pooled=rounded(auroc(values[:, i], labels)),
                             within=rounded(within_auroc(values[:, i], labels, groups)))
            for i, x in enumerate(PARTS)}


def best_of(values, found):
    """(share, standard error) of the problems whose answer with the highest last value is right."""
    groups = {}
    for value, one in zip(values[:, -1], found):
        groups.setdefault(one.group, []).append((value, one.right))
    share, error = mean_and_error([float(max(answers)[1]) for answers in groups.values()])
    return dict(right=round(share, 4), error=round(error, 4))


def stats_of(values):
    """Of the scores at all PARTS together: prefixes are scored as often as whole answers."""
    every = values.reshape(-1)
    return dict(mean=round(float(every.mean()), 5), std=round(float(every.std()), 5), n=len(every),
                quantiles={f"{q:.2f}": round(float(np.quantile(every, q)), 5) for q in QUANTILES})


def samples(policy, args):
    """(training, held out to stop by, evaluation) rollouts; no problem is in two of them."""
    tokenizer, evaluation = ArithTokenizer(), held_out(EVALUATION_SEED, args.test)
    banned = {p.prompt for p in evaluation} | forbidden()
    stop = [p for p in training_problems(52, args.stop) if p.prompt not in banned]
    banned |= {p.prompt for p in stop}
    training = [p for p in training_problems(51, args.problems) if p.prompt not in banned]
    return (rollouts(policy, training, args.answers, tokenizer, seed=51),
            rollouts(policy, stop, args.answers, tokenizer, seed=52),
            rollouts(policy, evaluation, 8, tokenizer, seed=53))


def main():
    args = arguments(__doc__, ("--seconds", dict(type=float, default=60)),
                     ("--problems", dict(type=int, default=4000)), ("--answers", dict(type=int, default=4)),
                     ("--stop", dict(type=int, default=250)), ("--test", dict(type=int, default=250)))
    torch.set_num_threads(args.threads)
    policy = load(os.path.join(args.work, "arith.pt")).requires_grad_(False)
    training, stop, test = samples(policy, args)
    log("rollouts", len(training), "right", round(sum(r.right for r in training) / len(training), 3))
    model = Verifier(policy, HeadConfig())
    batches, held, judged = (Batches(model, found) for found in (training, stop, test))
    log("read by the policy")
    likelihood = values_of(judged, lambda batch: batch[1][..., 3])
    for kind in ("value", "outcome"):
        facts = train_head(model, batches, held, kind, args.seconds)
        model.eval()
        values = values_of(judged, lambda batch: torch.sigmoid(model.evidence(*batch[:3])))
        found = judged.found
        facts.update(stats=stats_of(values), metrics=dict(
            train_answers=len(training), auroc=table(values, found), auroc_log_likelihood=table(likelihood, found),
            problems=args.test, share_right=round(float(np.mean([r.right for r in found])), 4),
            best_of_8=best_of(values, found), best_of_8_log_likelihood=best_of(likelihood, found)))
        save_verifier(model, os.path.join(args.work, f"arith-{kind}.pt"))
        write_json(os.path.join(args.work, f"arith-{kind}.facts.json"), facts)
        log(f"arith-{kind}", facts)


if __name__ == "__main__":
    main()
