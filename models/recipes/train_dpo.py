"""Tunes the policy itself by DPO on the happy guide's pairs: `tales-dpo`, the model that was trained
where the guide only guides. loss = -log sigmoid(beta * ((log p - log p_ref)(better) - (...)(worse)))."""
import os
import time

import torch
import torch.nn.functional as F

from common import arguments, log, mean_and_error, rng, write_json
from gold import GOLD
from model import load, save
from optim import schedule
from pairs import bucketed, length_matched_pairs, sequence, split
from sample import HELD_OUT_FROM, fast_copy, generate, prompt_set, read_pool
from tokenizer import Tokenizer
from train_arm import answer_log_probs, pair_log_probs

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


@torch.no_grad()
def compare(model, reference, data, count, seed=40):
    """Gold of fresh answers of both to held-out prompts, and KL(model || reference) on those of the model, in nats."""
    tokenizer = Tokenizer(data)
    prompts = prompt_set(data, HELD_OUT_FROM, count, 9, tokenizer.encode)
    figures = {}
    for name, one in (("tales", reference), ("tales_dpo", model)):
        answers, ended, _ = generate(fast_copy(one), prompts, seed=seed)
        for gold, score in GOLD.items():
            mean, error = mean_and_error([score(tokenizer.decode(a)) for a in answers])
            figures[f"{name}_{gold}"] = dict(mean=round(mean, 4), error=round(error, 4))
        figures[f"{name}_tokens"] = round(sum(map(len, answers)) / count, 1)
        figures[f"{name}_no_end"] = round(1 - sum(ended) / count, 4)
    rows = [sequence(p, dict(ids=a, ended=e)) for p, a, e in zip(prompts, answers, ended)]  # of the model, the last
    gained, tokens = [], 0
    for start in range(0, count, 32):
        part, starts = rows[start:start + 32], [len(p) for p in prompts[start:start + 32]]
        ours, counts = answer_log_probs(model, part, starts)
        theirs, _ = answer_log_probs(reference, part, starts)
        gained, tokens = gained + (ours - theirs).tolist(), tokens + int(counts.sum())
    mean, error = mean_and_error(gained)
    return dict(figures, answers=count, kl=dict(nats_per_answer=round(mean, 3), error=round(error, 3),
                                                nats_per_token=round(sum(gained) / tokens, 4)))


def main():
    args = arguments(__doc__, ("--seconds", dict(type=float, default=240)), ("--lr", dict(type=float, default=1e-4)),
                     ("--prompts", dict(type=int, default=200, help="of the comparison with tales")))
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
    facts["against_tales"] = compare(model, reference, args.data, args.prompts)
    write_json(os.path.join(args.work, "tales-dpo.facts.json"), facts)
    log("tales-dpo", facts)


if __name__ == "__main__":
    main()
