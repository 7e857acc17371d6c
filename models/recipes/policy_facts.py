"""What the finished policy can do, beyond its validation loss.

- entropy of its next-token distribution over its own answers (special ids masked, temperature 1)
- yes/no judgements of held-out stories by the two answer tokens
- whether an answer names the character that the request names
"""
import os
import re

import numpy as np
import torch
import torch.nn.functional as F

from common import ASSISTANT, EOT, FIRST_TEXT_ID, NO, USER, YES, arguments, log, read_json, read_jsonl, rng, write_json
from corpus import chat_prefix
from model import NEG, load, right_pad
from prompts import NEW_NAMES, follow_up, judgement
from sample import fast_copy, generate, read_pool
from tokenizer import Tokenizer
from train_arm import answer_log_probs

QUANTILES = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.85, 0.90, 0.95, 0.99)


@torch.no_grad()
def entropies(model, groups, limit=400):
    """Entropy in nats at every position of the answers."""
    found = []
    answers = [(g["prompt"], a["ids"]) for g in groups for a in g["answers"][:4]][:limit]
    for start in range(0, len(answers), 32):
        part = answers[start:start + 32]
        ids, lengths = right_pad([p + a for p, a in part])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids).float()
        logits[..., 1:FIRST_TEXT_ID] = NEG
        logs = F.log_softmax(logits, -1)
        entropy = -(logs.exp() * logs).sum(-1)
        for row, (prompt, answer) in enumerate(part):
            found += entropy[row, len(prompt) - 1:len(prompt) + len(answer)].tolist()
    return {f"{q:.2f}": round(float(np.quantile(found, q)), 5) for q in QUANTILES}, float(np.mean(found))


@torch.no_grad()
def judgement_accuracy(model, stories, encode, seed=3):
    """Share of held-out yes/no questions answered rightly, and the number asked."""
    random, rows, answers = rng(seed), [], []
    for story in stories:
        question, yes = judgement(story, random)
        rows.append([EOT] + encode(story["text"]) + [USER] + encode(question) + [ASSISTANT])
        answers.append(yes)
    right = 0
    for start in range(0, len(rows), 32):
        ids, lengths = right_pad(rows[start:start + 32])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids)[torch.arange(len(ids)), lengths - 1].float()
        right += ((logits[:, YES] > logits[:, NO]) == torch.tensor(answers[start:start + 32])).sum().item()
    return right / len(rows), len(rows)


@torch.no_grad()
def follow_up_accuracy(model, stories, encode, seed=4):
    """Share of the stories whose own follow-up is likelier (per token) than one of the opposite story."""
    random, right = rng(seed), 0
    opposite = dict(happy="sad", sad="happy", kind="mean", mean="kind")
    for story in stories:
        other = dict(story, mood=opposite[story["mood"]], manner=opposite[story["manner"]])
        lines = []
        state = random.getstate()
        for version in (story, other):
            random.setstate(state)
            lines.append(encode(follow_up(version, random)))
        start = [EOT] + encode(story["text"]) + [USER]
        sums, counts = answer_log_probs(model, [start + line for line in lines], [len(start)] * 2)
        right += (sums / counts)[0] > (sums / counts)[1]
    return int(right) / len(stories)


def name_following(model, encode, decode, names, count=100, seed=8):
    """Share of the answers that hold the requested name, and those where it is the main character's."""
    random = rng(seed)
    asked = [(random.choice(names), random.choice(["girl", "boy", "dog", "cat", "fox"])) for _ in range(count)]
    prompts = [chat_prefix(encode, f"Tell me a story about a {noun} named {name}.") for name, noun in asked]
    answers, _, _ = generate(fast_copy(model), prompts, seed=seed)
    texts = [decode(a) for a in answers]
    held = sum(bool(re.search(rf"\b{n}\b", t)) for t, (n, _) in zip(texts, asked))
    first = sum(bool(re.search(rf"\b{noun} (?:named|called) {n}\b", t)) for t, (n, noun) in zip(texts, asked))
    return held / count, first / count


def main():
    args = arguments(__doc__)
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer(args.data)
    model = load(os.path.join(args.work, "policy.pt"))
    stories = read_jsonl(args.data, "tales_valid")
    quantiles, mean = entropies(model, read_pool(args.work, "fresh"))
    judged, asked = judgement_accuracy(model, stories[:400], tokenizer.encode)
    known = "Emma Lily Max Tom Sara Omar Jack Mia Ruby Ben".split()
    history = read_json(os.path.join(args.work, "policy.history.json"))
    facts = dict(
        train_seconds=round(history["seconds"]), train_tokens=history["tokens"],
        metrics=dict(valid_nats_per_token=history["valid"], judgement_accuracy=round(judged, 4), judgements=asked,
                     follow_up_accuracy=round(follow_up_accuracy(model, stories[:200], tokenizer.encode), 4),
                     follows_known_names=name_following(model, tokenizer.encode, tokenizer.decode, known),
                     follows_new_names=name_following(model, tokenizer.encode, tokenizer.decode,
                                                      NEW_NAMES["he"][:20] + NEW_NAMES["she"][:20])),
        entropy=dict(mean=round(mean, 5), quantiles=quantiles))
    write_json(os.path.join(args.work, "policy.facts.json"), facts)
    log(facts)


if __name__ == "__main__":
    main()
