"""Trains the arithmetic policy on fresh problems; the loss counts the answers only.

The budget is CPU seconds of this process. It stops early on purpose (`--seconds`): a policy that is right half
the time is what search and verifiers can be shown on. Every 40 seconds a checkpoint is written, with the
optimisers' state: a stopped run goes on where it was.
"""
import os
import time

import torch

from arith_problems import DEV_SEED, forbidden, held_out, problem
from arith_tokenizer import ArithTokenizer
from common import EOT, arguments, log, rng, write_json
from model import Config, LlamaLM, load, right_pad, save
from optim import pretraining_optimizers, schedule, set_learning_rate
from sample import fast_copy, generate
from train_lm import loss_of

SHAPE = dict(hidden=128, layers=4, heads=4, kv_heads=2, head_dim=32, ffn=352, context=192)
MAX_NEW_ARITH = 108
BATCH = 32


def answered(one, tokenizer):
    """(prompt, answer) of a problem as ids; the end token closes the answer."""
    return [EOT] + tokenizer.encode(one.prompt), tokenizer.encode(one.solution) + [EOT]


def padded(rows):
    """(ids, loss weights) of (prompt, answer) pairs: only answers count."""
    ids, _ = right_pad([prompt + answer for prompt, answer in rows])
    weights = torch.zeros(ids.shape)
    for row, (prompt, answer) in enumerate(rows):
        weights[row, len(prompt):len(prompt) + len(answer)] = 1
    return ids, weights


def batches(tokenizer, random, size=BATCH, pool=32):
    """Endless batches of fresh problems, each of similar lengths."""
    banned = forbidden()
    while True:
        drawn = (problem(random) for _ in range(size * pool))
        rows = sorted((answered(p, tokenizer) for p in drawn if p.prompt not in banned),
                      key=lambda row: len(row[0]) + len(row[1]))
        cut = [rows[i:i + size] for i in range(0, len(rows), size)]
        random.shuffle(cut)
        yield from map(padded, cut)


def accuracy(model, problems, tokenizer, temperature=1.0, seed=0):
    """Share of the problems solved by one sample each."""
    prompts = [[EOT] + tokenizer.encode(p.prompt) for p in problems]
    answers, _, _ = generate(fast_copy(model), prompts, max_new=MAX_NEW_ARITH, seed=seed, temperature=temperature)
    return sum(p.solved_by(tokenizer.decode(a)) for p, a in zip(problems, answers)) / len(problems)


def train(work, seconds, total):
    """Train `arith.pt` for `seconds` under the schedule of a run of `total` seconds."""
    tokenizer, state = ArithTokenizer(), os.path.join(work, "arith.resume.pt")
    torch.manual_seed(0)
    model = LlamaLM(Config(vocab=tokenizer.size, **SHAPE))
    optimizers = pretraining_optimizers(model)
    spent, step, tokens, history = 0.0, 0, 0, []
    if os.path.exists(state):
        stored = torch.load(state)
        model.load_state_dict(stored["state"])
        for optimizer, saved in zip(optimizers, stored["optimizers"]):
            optimizer.load_state_dict(saved)
        spent, step, tokens, history = (stored[key] for key in ("spent", "step", "tokens", "history"))
    dev, source = held_out(DEV_SEED, 100), batches(tokenizer, rng(1000 + step))
    reported, running = spent, []
    while spent < seconds:
        begun = time.process_time()
        set_learning_rate(optimizers, schedule(spent / total, step, constant=0.5))
        ids, weights = next(source)
        loss = loss_of(model, ids, weights)
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step, tokens, spent = step + 1, tokens + ids.numel(), spent + time.process_time() - begun
        running.append(loss.item())
        if spent - reported > 40 or spent >= seconds:
            entry = dict(seconds=round(spent), step=step, tokens=tokens, loss=round(sum(running) / len(running), 4),
                         sampled=accuracy(model, dev, tokenizer))
            history, reported, running = history + [entry], spent, []
            log("arith", entry)
            for path in (state + ".tmp", os.path.join(work, f"arith.{round(spent)}.pt")):
                save(model, path, spent=spent, step=step, tokens=tokens, history=history,
                     optimizers=[o.state_dict() for o in optimizers])
            os.replace(state + ".tmp", state)
    write_json(os.path.join(work, "arith.history.json"), history)
    save(model, os.path.join(work, "arith.pt"))


def main():
    args = arguments(__doc__, ("--seconds", dict(type=float, default=280)), ("--total", dict(type=float, default=330)))
    torch.set_num_threads(args.threads)
    train(args.work, args.seconds, args.total)


if __name__ == "__main__":
    main()
