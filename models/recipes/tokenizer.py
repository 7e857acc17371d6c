"""Byte-level BPE encoder for the 2,048-entry tokenizer, and its packaged form.

Gives the same ids as the Hugging Face implementation of the same tokenizer.json.
"""
import json
import os

import regex

SPLIT = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
SOURCE = "tokenizer_tales_2048.json"
RENAMED = {"<|reserved_0|>": "<|yes|>", "<|reserved_1|>": "<|no|>"}


def byte_to_char():
    """The printable stand-in of each byte, as in GPT-2."""
    plain = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table = {b: chr(b) for b in plain}
    spare = 256
    for b in range(256):
        if b not in table:
            table[b] = chr(spare)
            spare += 1
    return table


class Tokenizer:
    def __init__(self, data_folder):
        with open(os.path.join(data_folder, SOURCE), encoding="utf8") as file:
            model = json.load(file)["model"]
        self.ids = model["vocab"]
        self.ranks = {tuple(pair): rank for rank, pair in enumerate(model["merges"])}
        self.pieces = {i: piece for piece, i in self.ids.items()}
        self.chars = byte_to_char()
        self.bytes = {c: b for b, c in self.chars.items()}
        self.cache = {}

    def _word(self, word):
        if word not in self.cache:
            parts = [self.chars[b] for b in word.encode("utf8")]
            while len(parts) > 1:
                pair = min(zip(parts, parts[1:]), key=lambda p: self.ranks.get(p, 1 << 30))
                if pair not in self.ranks:
                    break
                merged, k = [], 0
                while k < len(parts):
                    if tuple(parts[k:k + 2]) == pair:
                        merged.append(parts[k] + parts[k + 1])
                        k += 2
                    else:
                        merged.append(parts[k])
                        k += 1
                parts = merged
            self.cache[word] = [self.ids[p] for p in parts]
        return self.cache[word]

    def encode(self, text):
        return [i for word in SPLIT.findall(text) for i in self._word(word)]

    def decode(self, ids):
        data = bytes(self.bytes[c] for i in ids if i >= 8 for c in self.pieces[i])
        return data.decode("utf8", "replace")


def packaged_tokenizer(data_folder):
    """The tokenizer.json we ship: ids 5 and 6 carry the names of the two judgement tokens."""
    with open(os.path.join(data_folder, SOURCE), encoding="utf8") as file:
        tokenizer = json.load(file)
    for token in tokenizer["added_tokens"]:
        token["content"] = RENAMED.get(token["content"], token["content"])
    vocab = tokenizer["model"]["vocab"]
    tokenizer["model"]["vocab"] = {RENAMED.get(piece, piece): i for piece, i in vocab.items()}
    return tokenizer
