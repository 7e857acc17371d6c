"""Pretrains a language model on the corpus: the policy, the small guide's start, the reward models' starts.

The budget is wall-clock seconds of training. A checkpoint with the optimiser's state is written every
minute: a stopped run goes on where it was, a finished one returns at once.
"""
import multiprocessing
import os
import time

import numpy as np
import torch
import torch.nn.functional as F

from common import EOT, arguments, log, write_json
from model import Config, LlamaLM, save
from optim import pretraining_optimizers, schedule, set_learning_rate

SHAPES = {
    "policy": dict(),
    "small": dict(hidden=160, layers=3, heads=5, kv_heads=1, head_dim=32, ffn=432),
    "a": dict(layers=2),
    "b": dict(layers=3, heads=4, kv_heads=1, ffn=512),
    "c": dict(layers=2, heads=8, kv_heads=2, head_dim=32, ffn=704),
}
STREAM_SHARE = 0.25  # rows cut from a running stream; the others start with a document


class Rows:
    """Endless training rows of context + 1 tokens with loss weights, seeded and skippable."""

    def __init__(self, corpus, context, seed):
        self.tokens, self.weights, self.offsets = corpus["tokens"], corpus["weights"], corpus["offsets"]
        self.length, self.random = context + 1, np.random.default_rng(seed)
        self.order, self.pool = [], []

    def _next(self):
        if not len(self.order):
            self.order = list(self.random.permutation(len(self.offsets) - 1))
        return self.order.pop()

    def _piece(self, document):
        span = slice(self.offsets[document], self.offsets[document + 1])
        return self.tokens[span].astype(np.int64), self.weights[span].astype(np.float32)

    def row(self):
        """Documents packed one after the other; neighbours share one end token."""
        ids, weights = np.zeros(self.length, np.int64), np.zeros(self.length, np.float32)
        if self.random.random() < STREAM_SHARE:
            return self._stream_row(ids, weights)
        used = 0
        while True:
            while len(self.pool) < 48:
                self.pool.append(self._next())
            room = self.length - used + (used > 0)
            sizes = self.offsets[np.array(self.pool) + 1] - self.offsets[np.array(self.pool)]
            fits = [i for i in range(len(self.pool)) if sizes[i] <= room]
            if not fits:
                return ids, weights
            left_over = [room - sizes[i] for i in fits]
            pick = fits[0] if min(left_over) > 90 or used == 0 else fits[int(np.argmin(left_over))]
            piece, weight = self._piece(self.pool.pop(pick))
            skip = 1 if used else 0
            ids[used:used + len(piece) - skip] = piece[skip:]
            weights[used:used + len(piece) - skip] = weight[skip:]
            used += len(piece) - skip

    def _stream_row(self, ids, weights):
        used, start = 0, None
        while used < self.length:
            piece, weight = self._piece(self._next())
            if start is None:
                start = int(self.random.integers(len(piece)))
                piece, weight = piece[start:], weight[start:]
            elif piece[0] == EOT:
                piece, weight = piece[1:], weight[1:]
            take = min(len(piece), self.length - used)
            ids[used:used + take], weights[used:used + take] = piece[:take], weight[:take]
            used += take
        return ids, weights

    def batch(self, rows):
        ids, weights = zip(*(self.row() for _ in range(rows)))
        return torch.from_numpy(np.stack(ids)), torch.from_numpy(np.stack(weights))


def loss_of(model, ids, weights):
    """Weighted mean of the next-token losses; logits are computed only where the weight is positive."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = model.hidden(ids[:, :-1])
        counted = weights[:, 1:] > 0
        logits = model.logits(states[counted])
    losses = F.cross_entropy(logits.float(), ids[:, 1:][counted], reduction="none")
    weight = weights[:, 1:][counted]
    return (losses * weight).sum() / weight.sum()


@torch.no_grad()
def validate(model, stream, length=256, windows=None):
    """Nats per token on consecutive windows of a packed stream of plain stories."""
    count = (len(stream) - 1) // length
    count = min(count, windows or count)
    stream = torch.from_numpy(stream[:count * length + 1].astype(np.int64))
    total = 0.0
    for start in range(0, count, 24):
        part = [stream[i * length:(i + 1) * length + 1] for i in range(start, min(count, start + 24))]
        ids = torch.stack(part)
        total += loss_of(model, ids, torch.ones_like(ids, dtype=torch.float32)).item() * len(part)
    return total / count


class Shared:
    """What the worker processes share: parameters, one gradient row per worker, the clock, a barrier."""

    def __init__(self, model, workers):
        self.model, self.workers = model.share_memory(), workers
        self.gradients = torch.zeros(workers, model.parameter_count()).share_memory_()
        self.clock = torch.zeros(1, dtype=torch.float64).share_memory_()
        self.barrier = multiprocessing.get_context("fork").Barrier(workers)


def share_gradients(shared, rank):
    """Average the gradients of all workers and clip them; every worker sees the same result."""
    parameters = list(shared.model.parameters())
    shared.gradients[rank] = torch.cat([p.grad.reshape(-1) for p in parameters])
    shared.barrier.wait()
    mean = shared.gradients.mean(0)
    mean *= min(1.0, 1.0 / (mean.norm().item() + 1e-6))
    for p, piece in zip(parameters, mean.split([p.numel() for p in parameters])):
        p.grad = piece.view_as(p)


def work_on(shared, rank, work, name, seconds, seed, batch):
    """One worker's training loop. Each worker updates every n-th parameter, in place, for all."""
    torch.set_num_threads(1)
    model = shared.model
    optimizers = pretraining_optimizers(model)
    resume = os.path.join(work, f"{name}.resume")
    step, tokens, history = 0, 0, []
    if os.path.exists(resume + ".pt"):
        stored = torch.load(resume + ".pt")
        if rank == 0:
            model.load_state_dict(stored["state"])
            shared.clock[0] = stored["spent"]
        step, tokens, history = stored["step"], stored["tokens"], stored["history"]
        for optimizer, state in zip(optimizers, torch.load(f"{resume}.optimizers{rank}.pt")):
            optimizer.load_state_dict(state)
    corpus, valid = (dict(np.load(os.path.join(work, part + ".npz"))) for part in ("corpus", "valid"))
    rows = Rows(corpus, model.config.context, seed=1000000 * seed + 10 * step + rank)
    parameters = sorted(model.parameters(), key=lambda p: -p.numel())
    owned = {id(p) for i, p in enumerate(parameters) if i % shared.workers == rank}
    running, reported = [], None
    while True:
        shared.barrier.wait()
        begun, spent = time.process_time(), shared.clock.item()
        reported = spent if reported is None else reported
        if spent >= seconds:
            break
        set_learning_rate(optimizers, schedule(spent / seconds, step))
        ids, weights = rows.batch(batch // shared.workers)
        loss = loss_of(model, ids, weights)
        model.zero_grad(set_to_none=True)
        loss.backward()
        share_gradients(shared, rank)
        for p in parameters:
            if id(p) not in owned:
                p.grad = None
        shared.barrier.wait()
        for optimizer in optimizers:
            optimizer.step()
        step, tokens = step + 1, tokens + ids.numel() * shared.workers
        running.append(loss.item())
        shared.barrier.wait()
        if rank == 0:
            spent += time.process_time() - begun
            shared.clock[0] = spent
        shared.barrier.wait()
        spent = shared.clock.item()
        if spent - reported > 60 or spent >= seconds:
            reported = spent
            torch.save([o.state_dict() for o in optimizers], f"{resume}.optimizers{rank}.pt")
            if rank == 0:
                entry = dict(seconds=round(spent), step=step, tokens=tokens, rate=round(tokens / spent),
                             train=round(sum(running) / len(running), 4),
                             tales=round(validate(model, valid["tales"], windows=24), 4),
                             real=round(validate(model, valid["real"], windows=24), 4))
                history.append(entry)
                log(name, entry)
                save(model, resume + ".tmp", spent=spent, step=step, tokens=tokens, history=history)
                os.replace(resume + ".tmp", resume + ".pt")
            running = []


def train(work, name, seconds, seed=0, batch=16, workers=2):
    """Train SHAPES[name] for `seconds` of wall clock with one single-threaded process per worker."""
    final = os.path.join(work, name + ".pt")
    if os.path.exists(final):
        return
    torch.manual_seed(seed)
    shared = Shared(LlamaLM(Config(**SHAPES[name])), workers)
    log(name, "parameters", shared.model.parameter_count())
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work_on, args=(shared, rank, work, name, seconds, seed, batch))
                 for rank in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise SystemExit("a worker failed; run again to go on from the last checkpoint")
    stored = torch.load(os.path.join(work, name + ".resume.pt"))
    model = shared.model
    valid = dict(np.load(os.path.join(work, "valid.npz")))
    whole = {f"tales_{n}": round(validate(model, valid["tales"], n), 4) for n in (256, 384)}
    whole["real_256"] = round(validate(model, valid["real"]), 4)
    log(name, "finished", whole)
    write_json(os.path.join(work, name + ".history.json"), dict(seconds=stored["spent"], tokens=stored["tokens"],
                                                                valid=whole, history=stored["history"]))
    save(model, final)


def main():
    args = arguments(__doc__, ("--name", dict(choices=list(SHAPES), default="policy")),
                     ("--seconds", dict(type=float, default=1500)), ("--seed", dict(type=int, default=0)),
                     ("--batch", dict(type=int, default=16)))
    torch.set_num_threads(1)
    train(args.work, args.name, args.seconds, args.seed, args.batch, args.threads)


if __name__ == "__main__":
    main()
