"""Word-level tokens for the arithmetic problems, in a byte-level BPE's clothes.

A word and the space after it are one token, a digit is one, a byte is one where nothing else fits: so every text can
be read, and the bytes of the tokens, joined, are the text. The packaged form has no merges; `ignore_merges` finds
the words.
"""
import re

from arith_problems import GAINS, HALVES, LOOKS, LOSSES, NAMES, THINGS, TIMES
from tokenizer import byte_to_char

SPECIAL = ["<|endoftext|>", "<|pad|>", "<|user|>", "<|assistant|>", "<|system|>", "<|yes|>", "<|no|>", "<|reserved|>"]
PATTERN = r"[A-Za-z]+ ?|[,.:] ?|[0-9]|\s|[^\sA-Za-z0-9,.:]"
SPLIT = re.compile(PATTERN)
SPACED = NAMES + GAINS + LOSSES + LOOKS + ["has", "How", "many", "Answer", "Start", ",", ".", ":"]
BARE = THINGS + list(TIMES.values()) + [HALVES, "over"]
WORDS = [word + " " for word in SPACED] + BARE


class ArithTokenizer:
    def __init__(self):
        pieces = [bytes([b]) for b in range(256)] + [word.encode("ascii") for word in WORDS]
        self.bytes = [b""] * len(SPECIAL) + pieces
        self.ids = {piece: i for i, piece in enumerate(self.bytes) if piece}

    @property
    def size(self):
        return len(self.bytes)

    def encode(self, text):
        ids = []
        for part in SPLIT.findall(text):
            word = part.encode("utf8")
            ids += [self.ids[word]] if word in self.ids else [self.ids[bytes([b])] for b in word]
        return ids

    def decode(self, ids):
        return b"".join(self.bytes[i] for i in ids).decode("utf8", "replace")

    def packaged(self):
        """The tokenizer.json that we ship."""
        chars = byte_to_char()
        names = SPECIAL + ["".join(chars[b] for b in piece) for piece in self.bytes[len(SPECIAL):]]
        byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
        split = dict(type="Split", pattern=dict(Regex=PATTERN), behavior="Isolated", invert=False)
        special = [dict(id=i, content=name, single_word=False, lstrip=False, rstrip=False, normalized=False,
                        special=True) for i, name in enumerate(SPECIAL)]
        return dict(
            version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None,
            pre_tokenizer=dict(type="Sequence", pretokenizers=[split, byte_level]), post_processor=None,
            decoder=byte_level,
            model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                       end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, ignore_merges=True,
                       vocab={name: i for i, name in enumerate(names)}, merges=[]))
