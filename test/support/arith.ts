/**
 * Fresh arithmetic problems of 4 to 5 steps that no training has seen (models/recipes/arith_problems.py, a seed of
 * their own), and their exact checker: it works a problem's clauses itself.
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface Problem {
  readonly prompt: string;
  /** One line a clause: `buys 5: 17+5=22`. */
  readonly steps: readonly string[];
  readonly answer: number;
}

const FILE = fileURLToPath(new URL('../data/arith_problems.jsonl', import.meta.url));

export const arithProblems = (): Problem[] =>
  readFileSync(FILE, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Problem);

/** What it writes down, and the new value. */
type Rule = (value: number, by: number) => readonly [written: string, result: number];

/** What a clause's verb does to a value; a verb that is not here only looks. */
const DOES: Readonly<Record<string, Rule>> = {
  ...both(['gets', 'buys', 'finds', 'wins'], (value, by) => [`+${by}`, value + by]),
  ...both(['loses', 'sells', 'drops', 'gives'], (value, by) => [`-${by}`, value - by]),
  doubles: (value) => ['*2', value * 2],
  triples: (value) => ['*3', value * 3],
  halves: (value) => ['/2', value / 2],
};

/** The chain of thought that a prompt asks for. @throws Error for a text that is no such problem */
export function solve(prompt: string): { steps: string[]; answer: number } {
  const [start = '', ...clauses] = prompt.replace(/\. How many \w+\?\n?$/, '').split(', ');
  let value = Number(/^\w+ has (\d+) \w+$/.exec(start)?.[1] ?? NaN);
  if (Number.isNaN(value)) throw new Error(`${prompt} is no arithmetic problem`);
  const steps = clauses.map((clause) => {
    const [verb = '', by] = clause.split(' ');
    const done = DOES[verb]?.(value, Number(by));
    if (done === undefined) return `${clause}: ${value}`;
    const step = `${clause}: ${value}${done[0]}=${done[1]}`;
    value = done[1];
    return step;
  });
  return { steps, answer: value };
}

/** Whether an answer ends right, whatever led there. */
export function isRight({ answer }: Problem, text: string): boolean {
  const said = [...text.matchAll(/Answer (\d+)/g)].at(-1)?.[1];
  return said !== undefined && Number(said) === answer;
}

/** Place of the first step that is not the problem's; null where all that is written so far is right. */
export function firstWrongStep({ steps }: Problem, text: string): number | null {
  const written = text.split('\n').filter((line) => line.includes(':'));
  const at = written.findIndex((line, i) => line !== steps[i]);
  return at < 0 ? null : at;
}

function both(verbs: readonly string[], rule: Rule): Record<string, Rule> {
  return Object.fromEntries(verbs.map((verb) => [verb, rule]));
}
