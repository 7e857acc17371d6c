"""Builds the training corpus: plain stories, chats, follow-up lines and yes/no judgements.

Writes `corpus.npz` (tokens, loss weights, document offsets) and `valid.npz` (plain stories only).
Every story appears once per pass, in a form drawn anew. The loss weight of a token says how much
its prediction counts:
- request, system line and role tokens: 0
- `<|user|>` after a story: 0, so that the end token keeps its full mass there
- the answer of a judgement: 4 (it is one token among 150)
"""
import os

import numpy as np

from common import ASSISTANT, CONTEXT, EOT, NO, SYSTEM, USER, YES, arguments, log, read_jsonl, rng
from prompts import SYSTEM_LINES, follow_up, judgement, renamed, request
from tokenizer import Tokenizer

PASSES = 3
JUDGEMENT_WEIGHT = 4
# Shares of the forms; plain + chat + followed + judged = 1.
SHARES = dict(plain=0.49, chat=0.35, followed=0.10, judged=0.06)


def chat_prefix(encode, request_text, system_text=None):
    """Ids of the rendered chat up to and including `<|assistant|>`."""
    ids = [EOT]
    if system_text:
        ids += [SYSTEM] + encode(system_text)
    return ids + [USER] + encode(request_text) + [ASSISTANT]


def document(story, form, encode, random):
    """(ids, weights) of one document; the weight belongs to the token at the same place."""
    if random.random() < 0.15:
        story = renamed(story, random)
    in_chat = form == "chat" or (form != "plain" and random.random() < 0.5)
    if in_chat:
        system = random.choice(SYSTEM_LINES) if random.random() < 0.05 else None
        ids = chat_prefix(encode, request(story, random), system)
    else:
        ids = [EOT]
    weights = [0] * len(ids)
    body = encode(story["text"])
    ids, weights = ids + body, weights + [1] * len(body)
    if form == "followed":
        line = encode(follow_up(story, random))
        return ids + [USER] + line + [EOT], weights + [0] + [1] * len(line) + [1]
    if form == "judged":
        question, yes = judgement(story, random)
        line = encode(question)
        ids += [USER] + line + [ASSISTANT, YES if yes else NO, EOT]
        return ids, weights + [0] * (len(line) + 2) + [JUDGEMENT_WEIGHT, 1]
    return ids + [EOT], weights + [1]


def build(stories, real, encode, passes, seed):
    random = rng(seed)
    forms, shares = list(SHARES), list(SHARES.values())
    tokens, weights, offsets = [], [], [0]
    for _ in range(passes):
        items = [(s, None) for s in stories] + [(None, r) for r in real]
        random.shuffle(items)
        for story, plain in items:
            if story is None:
                ids = [EOT] + encode(plain["text"]) + [EOT]
                w = [0] + [1] * (len(ids) - 1)
            else:
                ids, w = document(story, random.choices(forms, shares)[0], encode, random)
            tokens += ids[:CONTEXT + 1]
            weights += w[:CONTEXT + 1]
            offsets.append(len(tokens))
    return np.array(tokens, np.uint16), np.array(weights, np.uint8), np.array(offsets, np.int64)


def main():
    args = arguments(__doc__)
    encode = Tokenizer(args.data).encode
    stories = read_jsonl(args.data, "tales_train")
    real = read_jsonl(args.data, "tinystories_1k_train")
    tokens, weights, offsets = build(stories, real, encode, PASSES, seed=1)
    np.savez(os.path.join(args.work, "corpus.npz"), tokens=tokens, weights=weights, offsets=offsets)
    valid = [encode(s["text"]) for s in read_jsonl(args.data, "tales_valid")]
    valid_real = [encode(s["text"]) for s in read_jsonl(args.data, "tinystories_1k_valid")]
    np.savez(os.path.join(args.work, "valid.npz"),
             tales=np.array([i for ids in valid for i in [EOT] + ids], np.uint16),
             real=np.array([i for ids in valid_real for i in [EOT] + ids], np.uint16))
    log("documents", len(offsets) - 1, "tokens", len(tokens), "counted", int((weights > 0).sum()))


if __name__ == "__main__":
    main()
