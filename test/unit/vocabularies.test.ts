import { expect, test } from 'vitest';
import type { Vocabulary } from '../../src/core/model.ts';
import type { Config } from '../../src/ops/config.ts';
import { groupByVocabulary } from '../../src/vocabularies.ts';
import { byteCodec } from '../fakes/codec.ts';

const spelling = (...pieces: string[]): Vocabulary => ({
  ...byteCodec.vocabulary,
  size: pieces.length,
  piece: (token) => pieces[token] ?? '',
});

const VOCABULARIES: Record<string, Vocabulary> = {
  tales: spelling('a', 'b', 'c'),
  dpo: spelling('a', 'b', 'c'),
  arm: spelling('a', 'b', 'c'),
  sums: spelling('a', '1'),
  other: spelling('a', 'x'),
};

function grouped(models: Record<string, object>) {
  const config = { models } as unknown as Config;
  const codecOf = (name: string) => ({ ...byteCodec, vocabulary: VOCABULARIES[name]! });
  return groupByVocabulary(config, codecOf).map(({ name, models: members, share }) => ({
    name,
    members,
    share,
  }));
}

const policy = { role: 'policy' };

test('policies and guides that mean the same by every token are one group, by its first policy', () => {
  const models = {
    arm: { role: 'guide' },
    tales: policy,
    sums: policy,
    dpo: policy,
    rm: { role: 'reward' },
  };
  expect(grouped(models)).toEqual([
    { name: 'tales', members: ['tales', 'dpo', 'arm'], share: 2 / 3 },
    { name: 'sums', members: ['sums'], share: 1 / 3 },
  ]);
});

test('memory is shared as the config says', () => {
  const models = {
    tales: { ...policy, kv_share: 0.5 },
    dpo: policy,
    sums: { ...policy, kv_share: 6 },
  };
  expect(grouped(models).map(({ share }) => share)).toEqual([0.2, 0.8]);
});

test('a guide that no policy shares its vocabulary with: both sizes and the first token that differs', () => {
  expect(() => grouped({ tales: policy, sums: policy, other: { role: 'guide' } })).toThrow(
    'the vocabulary of guide other (2 tokens) is not that of policy tales (3 tokens): token 1 is "x" there and "b" here; ' +
      'nor that of policy sums (2 tokens): token 1 is "x" there and "1" here',
  );
});
