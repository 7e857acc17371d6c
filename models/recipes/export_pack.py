"""Exports every finished model with its facts and what the evaluations say about it; run it as often as you like."""
import os

from arith_tokenizer import ArithTokenizer
from common import arguments, log, read_json
from export import export
from model import load
from tokenizer import packaged_tokenizer
from train_value import load_verifier

MODELS = {"tales": "policy", "arm-happy": "arm-happy", "arm-kind": "arm-kind", "arm-happy-small": "arm-happy-small",
          "tales-dpo": "tales-dpo", **{f"rm-{g}-{x}": f"rm-{g}-{x}" for g in ("happy", "kind") for x in "abc"},
          **{f"rm-happy-{x}-noisy": f"rm-happy-{x}-noisy" for x in "abc"}}
ARITH = ("arith", "arith-value", "arith-outcome")  # checkpoints of the same names
# A problem and its answer stand bare, a system line is left out; only later turns of the user have roles.
ARITH_TEMPLATE = (
    "{{ '<|endoftext|>' }}{% set turns = messages[1:] if messages[0]['role'] == 'system' else messages %}"
    "{% for turn in turns %}{% if turn['role'] == 'user' and not loop.first %}"
    "{{ '<|user|>' + turn['content'] + '<|assistant|>' }}{% else %}{{ turn['content'] }}{% endif %}{% endfor %}")
# Which evaluation settings speak about which model.
SPEAKS = {"tales": ["unguided"], "arm-happy": ["unguided", "happy", "ratio"], "arm-kind": ["unguided", "kind"],
          "arm-happy-small": ["unguided", "small"], "tales-dpo": ["unguided", "dpo"]}
NOTE = ("The gold scorers and the stories come from the same hand: these figures show that the machinery works, not "
        "that people would prefer the answers.")


ARITH_NOTE = ("Problems from a generator of ours, an exact checker; the held-out seed of these figures was looked at during "
              "training.")
VERIFIER_NOTE = "Problems from a generator of ours, an exact checker; the figures are on 250 problems that no training and no choice saw."


def facts_of(work, name, checkpoint, evaluation):
    path = os.path.join(work, checkpoint + ".facts.json")
    stored = read_json(path) if os.path.exists(path) else {}
    facts = {key: stored.pop(key) for key in ("train_seconds", "stats", "entropy") if key in stored}
    metrics = stored.pop("metrics", {})
    metrics.update(stored)
    settings = {k: v for k, v in evaluation.items() if any(k.startswith(s) for s in SPEAKS.get(name, []))}
    if settings:
        metrics["guided_sampling" if name.startswith("arm") else "sampling"] = settings
    return dict(facts, metrics=metrics, note=NOTE)


def export_arith(work):
    for name in ARITH:
        file = os.path.join(work, name + ".pt")
        if os.path.exists(file):
            verifies = name != "arith"
            model = load_verifier(file) if verifies else load(file)
            note = VERIFIER_NOTE if verifies else ARITH_NOTE
            facts = dict(read_json(os.path.join(work, name + ".facts.json")), note=note)
            export(model, name, work, ArithTokenizer().packaged(), facts, ARITH_TEMPLATE)


def main():
    args = arguments(__doc__, ("--only", dict(default="", help="comma-separated models")))
    path = os.path.join(args.work, "evaluation.json")
    evaluation = read_json(path) if os.path.exists(path) else {}
    for name, checkpoint in MODELS.items():
        if args.only and name not in args.only.split(","):
            continue
        file = os.path.join(args.work, checkpoint + ".pt")
        if os.path.exists(file):
            model = load(file, scalar_head=name.startswith("rm-"))
            facts = facts_of(args.work, name, checkpoint, evaluation)
            export(model, name, args.work, packaged_tokenizer(args.data), facts)
    export_arith(args.work)
    log("done")


if __name__ == "__main__":
    main()
