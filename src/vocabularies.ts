/**
 * Which models of a config mean the same by every token: only they can be added up. Each vocabulary is that of one
 * policy at least, is named after the first, and gets an engine of its own.
 */

import { sum } from './core/math.ts';
import type { Vocabulary } from './core/model.ts';
import type { Codec } from './core/text.ts';
import { ConfigError } from './ops/config.ts';
import type { Config, ModelEntry } from './ops/config.ts';
import { differenceOf } from './runtime/text/vocabulary.ts';

export interface VocabularyGroup {
  /** Of its first policy. */
  readonly name: string;
  readonly vocabulary: Vocabulary;
  /** Its policies, then its guides. */
  readonly models: readonly string[];
  /** Of the KV memory and the prefix cache; all groups' add up to 1. */
  readonly share: number;
}

interface Open {
  readonly name: string;
  readonly vocabulary: Vocabulary;
  readonly models: string[];
  weight: number;
}

/** @throws ConfigError with both sizes and the first token that differs, if a guide has no policy's vocabulary */
export function groupByVocabulary(
  config: Config,
  codecOf: (name: string) => Codec,
): VocabularyGroup[] {
  const named = (role: ModelEntry['role']) =>
    Object.entries(config.models).filter(([, entry]) => entry.role === role);
  const groups: Open[] = [];
  const groupOf = (vocabulary: Vocabulary): Open | undefined =>
    groups.find((group) => differenceOf(group.vocabulary, vocabulary) === null);

  for (const [name, { kv_share = 1 }] of named('policy')) {
    const { vocabulary } = codecOf(name);
    const group = groupOf(vocabulary);
    if (group === undefined) groups.push({ name, vocabulary, models: [name], weight: kv_share });
    else {
      group.models.push(name);
      group.weight += kv_share;
    }
  }
  for (const [name] of named('guide')) {
    const { vocabulary } = codecOf(name);
    const group = groupOf(vocabulary);
    if (group === undefined) throw unmatched(name, vocabulary, groups);
    group.models.push(name);
  }
  const total = sum(groups.map(({ weight }) => weight));
  return groups.map(({ weight, ...group }) => ({ ...group, share: weight / total }));
}

function unmatched(guide: string, vocabulary: Vocabulary, groups: readonly Open[]): ConfigError {
  const differences = groups.map((group) => {
    const difference = differenceOf(group.vocabulary, vocabulary);
    return `that of policy ${group.name} (${group.vocabulary.size} tokens): ${difference}`;
  });
  return new ConfigError(
    `the vocabulary of guide ${guide} (${vocabulary.size} tokens) is not ${differences.join('; nor ')}`,
  );
}
