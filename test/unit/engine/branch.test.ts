import { expect, test } from 'vitest';
import type { Vocabulary } from '../../../src/core/model.ts';
import type { Draw } from '../../../src/core/tree.ts';
import { Hypothesis, type Limit } from '../../../src/engine/branch.ts';

const PIECES = ['', 'he', 'llo', ' wor', 'ld', '\n', 'l', 'o w', '€'];
const END = 0;
const HALF = PIECES.length;

const vocabulary: Vocabulary = {
  size: PIECES.length + 1,
  bytes: (token) => (token === HALF ? Uint8Array.of(0xe2, 0x82) : Buffer.from(PIECES[token]!)),
  piece: (token) => PIECES[token] ?? '',
  ends: new Set([END]),
  banned: [],
};

const limit: Limit = { ends: vocabulary.ends, stops: [], maxTokens: 10 };

const drawOf = (token: number): Draw => ({
  token,
  logprob: -1,
  base: -2,
  kl: 0,
  entropy: 0,
  guides: [],
  top: [],
});

function branchOf(tokens: readonly number[], changes: Partial<Limit> = {}): Hypothesis {
  const branch = new Hypothesis(0, 1, vocabulary);
  for (const token of tokens)
    if (branch.finish === null) branch.append(drawOf(token), -0.5, { ...limit, ...changes });
  return branch;
}

test('text and log-probs grow with the tokens', () => {
  const branch = branchOf([1, 2, 3, 4, 2]);
  expect(branch).toMatchObject({ text: 'hello worldllo', finish: null });
  expect(branch).toMatchObject({ logprob: -5, base: -10, logZ: -2.5 });
});

test('a twin of the longest answer is a copy of its own', () => {
  const branch = branchOf([1]);
  branch.force(Array.from({ length: 300_000 }, () => 6));
  const twin = branch.twin(1, vocabulary);
  twin.append(drawOf(2), 0, limit);
  expect([twin.tokens.length, branch.tokens.length]).toEqual([300_002, 300_001]);
  expect([twin.draws.length, branch.draws.length]).toEqual([300_002, 300_001]);
});

test('an end token finishes, counts as a token and spells nothing', () => {
  expect(branchOf([1, END])).toMatchObject({ text: 'he', finish: 'stop', tokens: [1, END] });
});

test('the limit finishes with `length`, and half a character is shown as such', () => {
  expect(branchOf([1, HALF], { maxTokens: 2 })).toMatchObject({
    text: 'he\ufffd',
    finish: 'length',
  });
});

test('a stop string across tokens finishes, and the text is cut before it', () => {
  expect(branchOf([1, 2, 3, 4], { stops: ['o wo'] })).toMatchObject({
    text: 'hell',
    finish: 'stop',
    tokens: [1, 2, 3],
  });
});

test('of several stop strings the one that begins first cuts', () => {
  const branch = branchOf([1, 2, 3, 4], { stops: ['worl', 'lo w', ' world'] });
  expect(branch.text).toBe('hel');
});

test('a stop string is found on the last token too, and says `stop`', () => {
  expect(branchOf([1, 2], { stops: ['llo'], maxTokens: 2 })).toMatchObject({
    text: 'he',
    finish: 'stop',
  });
});

test('the text of an end token does not stop by itself', () => {
  const spelled = branchOf([1, 6, 6, 7], { stops: [] });
  expect(spelled).toMatchObject({ text: 'hello w', finish: null });
});

test('a segment ends at a text in what is new, its first character included', () => {
  const branch = branchOf([1, 5, 2]);
  expect(branch.contains(['\n'], 2)).toBe(true);
  expect(branch.contains(['\n'], 3)).toBe(false);
  expect(branch.contains(['he'], 0)).toBe(true);
  expect(branch.contains(['e\n'], 2)).toBe(false);
});

test('an old delimiter that reaches into the new text does not hide a later one', () => {
  const branch = branchOf([1, 5, 5, 5, 2]); // he \n \n \n llo
  expect(branch.contains(['\n\n'], 3)).toBe(true);
  expect(branch.contains(['\n\n'], 4)).toBe(false);
});

test('a twin starts where its parent is and shares nothing with it afterwards', () => {
  const parent = branchOf([1, 2]);
  const twin = parent.twin(7, vocabulary);
  expect(twin).toMatchObject({ id: 7, text: 'hello', logprob: -2, base: -4, logZ: -1 });
  twin.append(drawOf(4), 0, limit);
  expect(parent.text).toBe('hello');
  expect(parent.tokens).not.toContain(4);
  expect(twin.text).toBe('hellold');
});
