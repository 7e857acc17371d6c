"""Paths, special ids and small helpers that every step of the recipe shares."""
import argparse
import gzip
import json
import os
import random
import time

HERE = os.path.dirname(os.path.abspath(__file__))

EOT, PAD, USER, ASSISTANT, SYSTEM, YES, NO, RESERVED = range(8)
FIRST_TEXT_ID = 8  # ids 1..7 are never sampled
CONTEXT = 384
MAX_NEW = 160


def arguments(description, *extra):
    """Parse the options shared by all steps; `extra` holds (flag, keyword arguments) pairs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", default=os.environ.get("TALES_DATA", os.path.join(HERE, "../../../shared/data")),
                        help="folder with tales_*.jsonl.gz, tinystories_1k_*.jsonl.gz and the tokenizer")
    parser.add_argument("--work", default=os.environ.get("TALES_WORK", os.path.join(HERE, ".work")),
                        help="scratch folder: corpora, checkpoints, pairs, exports")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "2")))
    for flag, options in extra:
        parser.add_argument(flag, **options)
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    return args


def read_jsonl(folder, name):
    with gzip.open(os.path.join(folder, name + ".jsonl.gz"), "rt", encoding="utf8") as file:
        return [json.loads(line) for line in file]


def read_json(path):
    with open(path, encoding="utf8") as file:
        return json.load(file)


def write_json(path, value):
    """Write through a temporary file, so that a reader never sees half a file."""
    with open(path + ".tmp", "w", encoding="utf8") as file:
        json.dump(value, file, indent=1)
    os.replace(path + ".tmp", path)


def mean_and_error(values):
    """Mean and standard error of a list of numbers."""
    n = len(values)
    mean = sum(values) / n
    spread = sum((v - mean) ** 2 for v in values) / max(1, n - 1)
    return mean, (spread / n) ** 0.5


def log(*parts):
    print(time.strftime("%H:%M:%S"), *parts, flush=True)


def rng(seed):
    return random.Random(seed)
