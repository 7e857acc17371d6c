"""Reads a shipped 8-bit model back into a checkpoint: what training goes on from when the float weights are gone.

Weights are scale * (q - 128) in blocks of 32, so they differ from the trained ones by at most half a step; norms are
exact. Understands the graphs that `coxswain import` writes, and no other ONNX.
"""
import os

import numpy as np
import torch

from common import arguments, log, read_json
from model import Config, LlamaLM, save

BLOCK = 32
TYPES = {1: np.float32, 2: np.uint8}


def fields(data):
    """(number, value) of each field of a protobuf message: ints, or the bytes of what has a length."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            size = {1: 8, 5: 4}[kind]
            yield key >> 3, data[at:at + size]
            at += size


def initializers(path):
    """Stored tensors of a graph by name; only float32 and uint8 ones."""
    with open(path, "rb") as file:
        model = memoryview(file.read())
    graph = next(value for number, value in fields(model) if number == 7)
    found = {}
    for number, value in fields(graph):
        if number != 5:
            continue
        parts = list(fields(value))
        kind = next(v for n, v in parts if n == 2)
        raw = next((v for n, v in parts if n == 9), None)
        if kind in TYPES and raw is not None:
            name = bytes(next(v for n, v in parts if n == 8)).decode()
            found[name] = np.frombuffer(raw, TYPES[kind])
    return found


def weights(path, config):
    """The state dict of the model, dequantised; matrices stored together are taken apart."""
    stored, state = initializers(path), {}
    rows = {"q_proj": config.heads * config.head_dim, "k_proj": config.kv_heads * config.head_dim,
            "v_proj": config.kv_heads * config.head_dim, "o_proj": config.hidden, "gate_proj": config.ffn,
            "up_proj": config.ffn, "down_proj": config.hidden, "embed_tokens": config.vocab}
    for name, values in stored.items():
        if name.endswith("norm.weight"):
            state[name] = torch.from_numpy(values.copy())
        if not name.endswith(".q"):
            continue
        joined, width = name[:-2], config.ffn if "down_proj" in name else config.hidden
        width = config.heads * config.head_dim if "o_proj" in name else width
        scales = np.repeat(stored[joined + ".scales"], BLOCK)
        matrix = ((values.astype(np.float32) - 128) * scales).reshape(-1, width)
        for part in joined.split("+"):
            count = rows[part.split(".")[-2]]
            state[part], matrix = torch.from_numpy(matrix[:count].copy()), matrix[count:]
    return state


def main():
    args = arguments(__doc__, ("--model", dict(required=True, help="a model folder")), ("--out", dict(required=True)))
    c = read_json(os.path.join(args.model, "config.json"))
    config = Config(vocab=c["vocab_size"], hidden=c["hidden_size"], layers=c["num_hidden_layers"],
                    heads=c["num_attention_heads"], kv_heads=c["num_key_value_heads"], head_dim=c["head_dim"],
                    ffn=c["intermediate_size"], context=c["max_position_embeddings"], theta=c["rope_theta"],
                    eps=c["rms_norm_eps"])
    model = LlamaLM(config)
    model.load_state_dict(weights(os.path.join(args.model, "model.onnx"), config))
    save(model, args.out)
    log("read", args.model, model.parameter_count(), "parameters")


if __name__ == "__main__":
    main()
