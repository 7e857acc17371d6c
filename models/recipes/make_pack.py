"""Runs every step of the recipe in order; a step whose result exists is skipped, a stopped one goes on.

Two cores: either one step with two processes, or two single-threaded steps side by side.
"""
import os
import subprocess
import sys

from common import HERE, arguments, log

# Each stage is a list of lanes that run at the same time; a lane is a list of commands run in turn.
STAGES = [
    [["corpus.py"]],
    [["train_lm.py --name policy --seconds 3300 --batch 16 --threads 2"]],
    [["sample.py --prompts 1000 --answers 6 --part 0 --parts 2"],
     ["sample.py --prompts 1000 --answers 6 --part 1 --parts 2"]],
    [["train_arm.py --name arm-happy --gold happy --seconds 280 --nll 0.2",
      "train_lm.py --name small --seed 21 --seconds 130 --batch 8 --threads 1",
      "train_arm.py --name arm-happy-small --start small --gold happy --seconds 90 --nll 0.05",
      "sample.py --prompts 150 --answers 8 --first 3400 --out fresh"],
     ["train_arm.py --name arm-kind --gold kind --seconds 240 --nll 0.2",
      "train_lm.py --name a --seed 11 --seconds 140 --batch 8 --threads 1",
      "train_lm.py --name b --seed 12 --seconds 140 --batch 8 --threads 1",
      "train_lm.py --name c --seed 13 --seconds 140 --batch 8 --threads 1"]],
    [["train_rm.py --gold happy --seconds 60"], ["train_rm.py --gold kind --seconds 60"]],
    [["policy_facts.py"], ["evaluate_rm.py"]],
    [["train_arith.py --seconds 280 --total 330", "arith_rollouts.py", "train_value.py"],
     ["train_dpo.py --seconds 150"]],
    [["export_pack.py"]],
]
# A large malloc arena keeps freed blocks: without it every step of torch maps its memory anew.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8000000000", "MALLOC_TRIM_THRESHOLD_": "16000000000",
          "MALLOC_TOP_PAD_": "500000000"}


def start(lane, args):
    """One process that runs the lane's commands in turn."""
    shared = f"--data '{args.data}' --work '{args.work}'"
    commands = [f"'{sys.executable}' {name} {shared} {options}"
                for name, _, options in (command.partition(" ") for command in lane)]
    threads = "2" if any("--threads 2" in command for command in lane) else "1"
    environment = dict(os.environ, OMP_NUM_THREADS=threads, OMP_WAIT_POLICY="passive", **MEMORY)
    return subprocess.Popen(" && ".join(commands), shell=True, cwd=HERE, env=environment)


def main():
    args = arguments(__doc__)
    args.data, args.work = os.path.abspath(args.data), os.path.abspath(args.work)
    for number, stage in enumerate(STAGES):
        log("stage", number, stage)
        lanes = [start(lane, args) for lane in stage]
        if any([lane.wait() for lane in lanes]):
            raise SystemExit(f"stage {number} failed; run again to go on")


if __name__ == "__main__":
    main()
