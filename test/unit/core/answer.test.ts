import { describe, expect, test } from 'vitest';
import { answerField, answerIn } from '../../../src/core/answer.ts';

describe('last_number', () => {
  test.each([
    ['so 3 + 4 = 7.', '7'],
    ['It costs 1,024.50 in all', '1024.5'],
    ['7.0', '7'],
    ['5-4=1, or -3', '-3'],
    ['from 3-4', '4'],
    ['-0', '0'],
    ['12345678901234567890', '12345678901234567890'],
    ['none at all', null],
    ['', null],
  ])('%j answers %j', (text, answer) => {
    expect(answerIn(text, { extract: 'last_number' })).toBe(answer);
  });
});

describe('regex', () => {
  test.each([
    ['boxed', 'first \\boxed{3}, then \\boxed{x + 1}', 'x + 1'],
    ['answer_is', 'The answer is 3.5.', '3.5'],
    ['answer_is', 'ANSWER: Blue', 'blue'],
    ['after_hashes', 'work\n#### 42', '42'],
    ['choice', 'either (A) or (c)', 'c'],
    ['choice', 'nothing', null],
  ] as const)('%s in %j is %j', (pattern, text, answer) => {
    expect(answerIn(text, { extract: 'regex', pattern })).toBe(answer);
  });

  test('gets through a hostile text', () => {
    const text = `${'answer is '.repeat(5000)}${'\\boxed{'.repeat(5000)}${'1,'.repeat(5000)}`;
    for (const pattern of ['boxed', 'answer_is', 'after_hashes', 'choice'] as const)
      answerIn(text, { extract: 'regex', pattern });
    expect(answerIn(text, { extract: 'last_number' })).toBe('1'.repeat(5000));
  });

  test('a client brings no pattern of its own', () => {
    expect(answerField.safeParse({ extract: 'regex', pattern: '(a+)+$' }).success).toBe(false);
  });
});

describe('json_pointer', () => {
  const text = '{"a": [1, {"b/c": "x"}], "n": null, "o": {"k": true}}';
  test.each([
    ['/a/0', '1'],
    ['/a/1/b~1c', 'x'],
    ['/o', '{"k":true}'],
    ['/n', null],
    ['/a/2', null],
    ['/a/length', null],
    ['/constructor', null],
    ['a', null],
    ['', JSON.stringify(JSON.parse(text))],
  ])('%j is %j', (pointer, answer) => {
    expect(answerIn(text, { extract: 'json_pointer', pointer })).toBe(answer);
  });

  test('a text that is no JSON has no answer', () => {
    expect(answerIn('{"a": 1', { extract: 'json_pointer', pointer: '/a' })).toBeNull();
  });
});
