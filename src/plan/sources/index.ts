/** The kinds of reward sources, each by the key that only its wire has. A new kind is a file beside this one and a line here. */

import { wrong } from '../../core/fields.ts';
import type { Catalog } from '../catalog.ts';
import { check } from './check.ts';
import { http } from './http.ts';
import { judge } from './judge.ts';
import { length, repetition } from './length.ts';
import { followUp, likelihood } from './likelihood.ts';
import { model } from './model.ts';
import { pairwise } from './pairwise.ts';
import { personal } from './personal.ts';
import { ratio } from './ratio.ts';
import { selfEvaluation } from './self_evaluation.ts';
import type { ParsedMember, SourceKind } from './source.ts';

/** Where a member has two of the keys, the first here decides. */
export const kinds: Readonly<Record<string, SourceKind>> = {
  model,
  personal,
  plus: ratio,
  follow_up: followUp,
  likelihood,
  judge,
  pairwise,
  self_evaluation: selfEvaluation,
  check,
  length,
  repetition,
  http,
};

/** One member of `alignment.rewards`, by its kind. */
export function parseMember(raw: unknown, at: string, catalog: Catalog): ParsedMember {
  const given = typeof raw === 'object' && raw !== null ? raw : {};
  const kind = Object.entries(kinds).find(([key]) => Object.hasOwn(given, key))?.[1];
  if (kind !== undefined) return kind.parse(raw, at, catalog);
  throw wrong(at, raw, `an object with one of the keys ${Object.keys(kinds).join(', ')}`);
}
