"""Preference pairs from the sampled pool: length-matched ones for the guides, all for the reward models."""
from collections import defaultdict

from common import EOT, rng

HELD_OUT_SHARE = 0.1
MARGIN = 0.15


def split(groups):
    """(training groups, held-out groups): no prompt is in both."""
    count = int(len(groups) * HELD_OUT_SHARE)
    return groups[count:], groups[:count]


def sequence(prompt, answer, cut=None):
    """Prompt and answer with the end token when the answer is complete; cut to `cut` answer tokens if given."""
    ids = answer["ids"]
    if cut is not None and cut < len(ids):
        return prompt + ids[:cut]
    return prompt + ids + ([EOT] if answer["ended"] else [])


def all_pairs(groups, gold, margin=MARGIN, ended_only=False):
    """(prompt, better answer, worse answer) for every two answers of a prompt that differ enough."""
    pairs = []
    for group in groups:
        answers = [a for a in group["answers"] if (a["ended"] or not ended_only) and a["ids"]]
        for i, first in enumerate(answers):
            for second in answers[:i]:
                if abs(first[gold] - second[gold]) > margin:
                    better, worse = (first, second) if first[gold] > second[gold] else (second, first)
                    pairs.append((group["prompt"], better, worse))
    return pairs


def length_matched_pairs(groups, gold, seed=0, slack=0.12, at_least=6):
    """Pairs of ended answers of similar length, as many with the better one longer as with it shorter.

    Matched within bins of the length difference, so that length says nothing about the label.
    """
    bins = defaultdict(lambda: ([], []))
    for prompt, better, worse in all_pairs(groups, gold, ended_only=True):
        difference = len(better["ids"]) - len(worse["ids"])
        if abs(difference) <= max(at_least, slack * max(len(better["ids"]), len(worse["ids"]))):
            bins[abs(difference) // 2][difference > 0 if difference else len(bins) % 2].append((prompt, better, worse))
    random, kept = rng(seed), []
    for distance in sorted(bins):
        shorter, longer = bins[distance]
        if distance == 0:
            kept += shorter + longer
            continue
        count = min(len(shorter), len(longer))
        kept += random.sample(shorter, count) + random.sample(longer, count)
    random.shuffle(kept)
    return kept


def bucketed(pairs, size, random, batches=16):
    """Endless batches of `size` pairs of similar length, to waste little on padding."""
    while True:
        order = list(pairs)
        random.shuffle(order)
        for start in range(0, len(order), size * batches):
            chunk = sorted(order[start:start + size * batches], key=pair_length)
            cut = [chunk[i:i + size] for i in range(0, len(chunk) - size + 1, size)] or [chunk]
            random.shuffle(cut)
            yield from cut


def pair_length(pair):
    prompt, better, worse = pair
    return len(prompt) + max(len(better["ids"]), len(worse["ids"]))
