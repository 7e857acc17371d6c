"""Prints the result tables of the README (markdown) from the evaluation files."""
import os

from common import arguments, read_json


def table(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def main():
    args = arguments(__doc__)

    def stored(name):
        path = os.path.join(args.work, name)
        return read_json(path) if os.path.exists(path) else {}

    sampling = stored("evaluation.json")
    table(["setting", "gold happy", "gold kind", "base NLL", "distinct bigrams", "no end", "tokens"],
          [[name, f"{r['happy']:.3f} +- {r['happy_error']:.3f}", f"{r['kind']:.3f} +- {r['kind_error']:.3f}",
            f"{r['base_nll']:.3f}", f"{r['distinct_bigrams']:.3f}", f"{100 * r['no_end']:.1f} %", r["tokens"]]
           for name, r in sampling.items()])
    guides = [(n, stored(n + ".facts.json")) for n in ("arm-happy", "arm-kind", "arm-happy-small", "tales-dpo")]
    table(["model", "pairs", "steps", "seconds", "pair accuracy"],
          [[n, f["train_pairs"], f["steps"], f["train_seconds"],
            f"{f['pair_accuracy']:.3f} +- {f.get('pair_accuracy_error', 0):.3f}"] for n, f in guides if f])
    members = [(n, stored(n + ".facts.json")) for n in (f"rm-{g}-{x}" for g in ("happy", "kind") for x in "abc")]
    table(["model", "pair accuracy", "cut at half", "best of 8", "gain", "correlation with gold", "mean", "std"],
          [[n, f"{f['pair_accuracy']:.3f} +- {f['pair_accuracy_error']:.3f}", f"{f['pair_accuracy_cut_half']:.3f}",
            f"{f['best_of_8']['mean']:.3f} +- {f['best_of_8']['error']:.3f}", f"{f['best_of_8']['gain']:+.3f}",
            f["correlation_with_gold"], f"{f['stats']['mean']:.2f}", f"{f['stats']['std']:.2f}"]
           for n, f in members if "stats" in f])
    for gold, result in stored("rm-evaluation.json").items():
        print(gold, {k: v for k, v in result.items() if not k.startswith("rm-")})


if __name__ == "__main__":
    main()
