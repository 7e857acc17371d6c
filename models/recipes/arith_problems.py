"""Arithmetic word problems with their chain of thought, and the exact checker.

A problem: `Sam has 17 cups, buys 5, sees 8, drops 3, doubles. How many cups?`
Its answer repeats each clause and works it out, one line a clause, then says the result:
`\\nbuys 5: 17+5=22\\nsees 8: 22\\ndrops 3: 22-3=19\\ndoubles: 19*2=38\\nAnswer 38`.
Values stay within 0 and 99; a clause that only looks (`sees 8`) changes nothing.

Run as a script, it writes fresh problems with their answers, one JSON object a line.
"""
import json
import re
from dataclasses import dataclass

from common import arguments, rng

NAMES = "Tom Mia Sam Lily Ben Anna Max Zoe Leo Ruby Tim Ella".split()
THINGS = "apples books coins stars shells cards balls eggs cups pens".split()
GAINS = "gets buys finds wins".split()
LOSSES = "loses sells drops gives".split()
LOOKS = "sees wants counts".split()
TIMES = {2: "doubles", 3: "triples"}
HALVES = "halves"
LOOK_SHARE = 0.12
LARGEST = 20  # number that is added, taken away or looked at
TEST_SEED, DEV_SEED = 20261124, 4045
ANSWER = re.compile(r"Answer (\d+)")


@dataclass(frozen=True)
class Problem:
    prompt: str
    steps: tuple  # "buys 5: 17+5=22", ...
    answer: int

    @property
    def solution(self):
        return "".join("\n" + step for step in self.steps) + f"\nAnswer {self.answer}"

    def solved_by(self, text):
        """Whether the text ends in the right answer; how it got there is not asked."""
        return answer_of(text) == self.answer

    def first_error(self, text):
        """Index of the first step that is not the chain's; None if all that is written is right."""
        written = [line for line in text.split("\n") if ":" in line]
        for i, line in enumerate(written):
            if i >= len(self.steps) or line != self.steps[i]:
                return i
        return None


def answer_of(text):
    found = ANSWER.findall(text)
    return int(found[-1]) if found else None


def possible(operation, value):
    """The operation, or one that the value allows instead."""
    if operation == "*" and value > 49:
        operation = "-"
    if operation == "/" and (value % 2 or value < 4):
        operation = "+"
    if operation == "+" and value > 95:
        return "-"
    if operation == "-" and value < 4:
        return "+"
    return operation


def step(operation, value, random):
    """(clause, operand, result) of one step from `value`."""
    if operation == "+":
        operand = random.randint(2, min(LARGEST, 99 - value))
        return f"{random.choice(GAINS)} {operand}", operand, value + operand
    if operation == "-":
        operand = random.randint(2, min(LARGEST, value - 1))
        return f"{random.choice(LOSSES)} {operand}", operand, value - operand
    if operation == "*":
        operand = random.choice([2, 3]) if value <= 33 else 2
        return TIMES[operand], operand, value * operand
    return HALVES, 2, value // 2


def problem(random, least=2, most=5):
    """A random problem of `least` to `most` steps."""
    count, value, things = random.randint(least, most), random.randint(2, 50), random.choice(THINGS)
    clauses, steps = [f"{random.choice(NAMES)} has {value} {things}"], []
    for _ in range(count):
        if random.random() < LOOK_SHARE:
            clauses.append(f"{random.choice(LOOKS)} {random.randint(2, LARGEST)}")
            steps.append(f"{clauses[-1]}: {value}")
        operation = possible(random.choice("++--*/"), value)
        clause, operand, result = step(operation, value, random)
        clauses.append(clause)
        steps.append(f"{clause}: {value}{operation}{operand}={result}")
        value = result
    return Problem(", ".join(clauses) + f". How many {things}?", tuple(steps), value)


def held_out(seed, count, least=4, most=5):
    """`count` different problems; those of DEV_SEED and TEST_SEED are kept out of every training."""
    random, found = rng(seed), {}
    while len(found) < count:
        one = problem(random, least, most)
        found[one.prompt] = one
    return list(found.values())


def forbidden():
    """Prompts that no training may see."""
    return {p.prompt for p in held_out(DEV_SEED, 1000) + held_out(TEST_SEED, 1000)}


def main():
    args = arguments(__doc__, ("--count", dict(type=int, default=500)), ("--out", dict(required=True)))
    with open(args.out, "w", encoding="utf8") as file:
        for one in held_out(TEST_SEED, args.count):
            file.write(json.dumps(dict(prompt=one.prompt, steps=one.steps, answer=one.answer)) + "\n")


if __name__ == "__main__":
    main()
