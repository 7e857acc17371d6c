"""Exports every finished model with its facts and what the evaluations say about it; run it as often as you like."""
import os

from common import arguments, log, read_json
from export import export
from model import load

MODELS = {"tales": "policy", "arm-happy": "arm-happy", "arm-kind": "arm-kind", "arm-happy-small": "arm-happy-small",
          "tales-dpo": "tales-dpo", **{f"rm-{g}-{x}": f"rm-{g}-{x}" for g in ("happy", "kind") for x in "abc"}}
# Which evaluation settings speak about which model.
SPEAKS = {"tales": ["unguided"], "arm-happy": ["unguided", "happy", "ratio"], "arm-kind": ["unguided", "kind"],
          "arm-happy-small": ["unguided", "small"], "tales-dpo": ["unguided", "dpo"]}
NOTE = ("The gold scorers and the stories come from the same hand: these figures show that the machinery works, not "
        "that people would prefer the answers.")


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
            export(model, name, args.work, args.data, facts_of(args.work, name, checkpoint, evaluation))
    log("done")


if __name__ == "__main__":
    main()
