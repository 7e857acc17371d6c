import { expect, test } from 'vitest';
import type { Branch, Draw, Finish } from '../../../src/core/tree.ts';
import { Commit } from '../../../src/run/commit.ts';

/** A branch whose tokens are the text's characters. */
function branch(text: string, finish: Finish | null = null, tokens = [...text].length): Branch {
  const ids = Array.from({ length: tokens }, (_, i) => text.codePointAt(i) ?? 0);
  return {
    id: 0,
    tokens: ids,
    draws: ids.map((token) => ({ token }) as Draw),
    text,
    logprob: 0,
    base: 0,
    logZ: 0,
    states: null,
    finish,
  };
}

const sent = (commit: Commit, ...branches: Branch[]): string | null =>
  commit.frontier(branches)?.text ?? null;

test('a single branch commits what is new', () => {
  const commit = new Commit(3, [], true);
  expect(commit.frontier([branch('he')])).toMatchObject({
    kind: 'commit',
    choice: 3,
    text: 'he',
    tokens: 2,
    draws: [{ token: 104 }, { token: 101 }],
  });
  expect(commit.frontier([branch('hello')])).toMatchObject({ text: 'llo', tokens: 3 });
  expect(commit.frontier([branch('hello')])).toBeNull();
});

test('without log-probs no draws are sent, but tokens are counted', () => {
  expect(new Commit(0, [], false).frontier([branch('he')])).toMatchObject({ draws: [], tokens: 2 });
});

test('several survivors commit what they agree on', () => {
  const commit = new Commit(0, [], true);
  expect(sent(commit, branch('hello you'), branch('hello there'))).toBe('hello ');
  expect(sent(commit, branch('hello you all'))).toBe('you all');
});

test('the beginning of a stop string is held back until it is none', () => {
  const commit = new Commit(0, ['END', 'NOW'], true);
  expect(sent(commit, branch('the E'))).toBe('the ');
  expect(sent(commit, branch('the EN'))).toBeNull();
  expect(sent(commit, branch('the ENO'))).toBe('E');
  expect(sent(commit, branch('the ENO.'))).toBe('NO.');
});

test('of two stop strings the longer beginning is held back', () => {
  const commit = new Commit(0, ['b.', 'ab.'], true);
  expect(sent(commit, branch('xab'))).toBe('x');
});

test('what was held back is sent with the last commit if no stop string came of it', () => {
  const commit = new Commit(0, ['END'], true);
  expect(sent(commit, branch('the E'))).toBe('the ');
  expect(commit.frontier([branch('the E', 'length')])).toMatchObject({ text: 'E', tokens: 0 });
});

test('an end token that spells nothing is still counted', () => {
  const commit = new Commit(0, [], true);
  commit.frontier([branch('hey')]);
  expect(commit.frontier([branch('hey', 'stop', 4)])).toMatchObject({ text: '', tokens: 1 });
  expect(commit.frontier([branch('hey', 'stop', 4)])).toBeNull();
});

test('half of a character is never sent, however the survivors part', () => {
  const commit = new Commit(0, [], true);
  expect(sent(commit, branch('a😀'), branch('a😁'))).toBe('a'); // same high surrogate
  expect(sent(commit, branch('a😁'))).toBe('😁');
});

test('going back on what was sent is a bug of the strategy', () => {
  const commit = new Commit(0, [], true);
  commit.frontier([branch('hello')]);
  expect(() => commit.frontier([branch('help')])).toThrow('went back');
});

test('no branches, no commit', () => {
  expect(new Commit(0, [], true).frontier([])).toBeNull();
});
