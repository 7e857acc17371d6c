import { expect, test } from 'vitest';
import { arithProblems, firstWrongStep, isRight, solve } from '../../support/arith.ts';

const problems = arithProblems();

test('500 different problems of 4 to 5 steps carry the chain and answer that their text asks for', () => {
  expect(new Set(problems.map(({ prompt }) => prompt)).size).toBe(500);
  for (const { prompt, steps, answer } of problems) {
    expect(solve(prompt)).toEqual({ steps, answer });
    const counted = steps.filter((step) => step.includes('='));
    expect([4, 5]).toContain(counted.length);
    expect(answer >= 0 && answer <= 99).toBe(true);
  }
});

test('an answer is right by its last number, its steps one by one', () => {
  const problem = problems[0]!;
  const solution = `\n${problem.steps.join('\n')}\nAnswer ${problem.answer}`;
  expect([isRight(problem, solution), firstWrongStep(problem, solution)]).toEqual([true, null]);
  expect(isRight(problem, `${solution}\nAnswer 7`)).toBe(false);
  expect(isRight(problem, problem.steps.join('\n'))).toBe(false);
  expect(firstWrongStep(problem, `\n${problem.steps[0]}\nwins 10: 1+1=3`)).toBe(1);
  const added = `${solution}\nwins 1: ${problem.answer}+1=${problem.answer + 1}`;
  expect(firstWrongStep(problem, added)).toBe(problem.steps.length);
  expect(() => solve('Once upon a time')).toThrow('no arithmetic problem');
});
