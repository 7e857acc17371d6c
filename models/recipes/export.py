"""Writes a trained model as a Hugging Face folder: fp32 safetensors, config, tokenizer, facts."""
import json
import os
import shutil
import struct

import numpy as np
import torch

from common import EOT, PAD, arguments, log, write_json
from tokenizer import packaged_tokenizer

CHAT_TEMPLATE = (
    "{{ '<|endoftext|>' }}"
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")


def write_safetensors(path, tensors):
    """Eight bytes with the header's length (little-endian), the JSON header, the raw data."""
    header, blobs, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name in sorted(tensors):
        blob = tensors[name].detach().float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = dict(dtype="F32", shape=list(tensors[name].shape), data_offsets=[offset, offset + len(blob)])
        blobs.append(blob)
        offset += len(blob)
    head = json.dumps(header, separators=(",", ":")).encode("utf8")
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for blob in blobs:
            file.write(blob)


def read_safetensors(path):
    """The tensors of a file written above (used by the self-check)."""
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: torch.from_numpy(np.frombuffer(data[slice(*h["data_offsets"])], "<f4").copy()).view(h["shape"])
            for name, h in header.items()}


def hugging_face_config(c, scalar_head):
    config = dict(
        architectures=["LlamaForSequenceClassification" if scalar_head else "LlamaForCausalLM"],
        model_type="llama", vocab_size=c.vocab, hidden_size=c.hidden, intermediate_size=c.ffn,
        num_hidden_layers=c.layers, num_attention_heads=c.heads, num_key_value_heads=c.kv_heads, head_dim=c.head_dim,
        max_position_embeddings=c.context, rope_theta=c.theta, rope_scaling=None, rms_norm_eps=c.eps,
        hidden_act="silu", attention_bias=False, mlp_bias=False, attention_dropout=0.0, initializer_range=0.02,
        tie_word_embeddings=True, use_cache=True, pretraining_tp=1, bos_token_id=EOT, eos_token_id=EOT,
        pad_token_id=PAD, torch_dtype="float32")
    if scalar_head:
        config.update(num_labels=1, id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})
    return config


def verifier_config(model):
    """The policy's config; `evidence_head` has the sizes of the head."""
    return dict(hugging_face_config(model.config, False), architectures=["PolicyVerifier"],
                evidence_head=dict(vars(model.head_config)))


def export(model, name, work, tokenizer, facts, chat_template=CHAT_TEMPLATE):
    """Write `.work/export/<name>` through a temporary folder, so that a reader sees all of it or nothing.

    `tokenizer`: what tokenizer.json holds.
    """
    target = os.path.join(work, "export", name)
    folder = target + ".tmp"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    verifies = hasattr(model, "head_config")
    tensors = model.tensors() if verifies else model.state_dict()
    config = verifier_config(model) if verifies else hugging_face_config(model.config, hasattr(model, "score"))
    write_safetensors(os.path.join(folder, "model.safetensors"), tensors)
    write_json(os.path.join(folder, "config.json"), config)
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf8") as file:
        json.dump(tokenizer, file, ensure_ascii=False)
    write_json(os.path.join(folder, "tokenizer_config.json"), dict(
        tokenizer_class="PreTrainedTokenizerFast", bos_token="<|endoftext|>", eos_token="<|endoftext|>",
        pad_token="<|pad|>", add_bos_token=True, add_eos_token=False, clean_up_tokenization_spaces=False,
        model_max_length=model.config.context, chat_template=chat_template))
    write_json(os.path.join(folder, "facts.json"), dict(params=model.parameter_count(), **facts))
    old = target + ".old"
    shutil.rmtree(old, ignore_errors=True)
    if os.path.exists(target):
        os.rename(target, old)
    os.rename(folder, target)
    shutil.rmtree(old, ignore_errors=True)
    written = read_safetensors(os.path.join(target, "model.safetensors"))
    assert all(torch.equal(written[k], v.float()) for k, v in tensors.items())
    log("exported", name)


def main():
    """Export a pretraining checkpoint as it stands (an early look at the policy)."""
    args = arguments(main.__doc__, ("--checkpoint", dict(default="policy.resume.pt")), ("--name", dict(default="tales")))
    from model import load
    path = os.path.join(args.work, args.checkpoint)
    stored = torch.load(path)
    facts = dict(train_seconds=round(stored.get("spent", 0)), metrics=dict(early=True, history=stored.get("history")))
    export(load(path), args.name, args.work, packaged_tokenizer(args.data), facts)


if __name__ == "__main__":
    main()
