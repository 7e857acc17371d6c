/** The table of names. A new rule is a file beside this one and a line here. */

import { z } from 'zod';
import { read, withoutNulls } from '../../core/fields.ts';
import type { Search } from '../../core/strategy.ts';
import type { Branch, Tree } from '../../core/tree.ts';
import { calibrated } from './calibrated.ts';
import { confidence } from './confidence.ts';
import type { Deciding, ElectingRule, PruneRule, RuleContext, Verdict } from './rule.ts';
import { selfEvaluation } from './self_evaluation.ts';
import { selfTruncation } from './self_truncation.ts';
import { speculativeRejection } from './speculative_rejection.ts';
import { value } from './value.ts';

/** Parameters are checked by each rule's own `parse`; the table forgets their type. */
const deciding: Readonly<Record<string, PruneRule<unknown>>> = {
  speculative_rejection: speculativeRejection,
  value,
  self_evaluation: selfEvaluation,
  confidence,
  calibrated,
};

const electing: Readonly<Record<string, ElectingRule<unknown>>> = {
  self_truncation: selfTruncation,
};

export const rules = { ...deciding, ...electing };

/** A rule for one request, and all that it says before the search begins. Plain data: it crosses to the search. */
export interface Prune {
  /** Null: nothing is given up. */
  readonly rule: { readonly type: string; readonly params: unknown } | null;
  /** It leaves one answer, of its own choice. */
  readonly elects: boolean;
  readonly states: boolean;
  readonly needs: 'nothing' | 'prefix';
  readonly together: boolean;
  readonly absolute: boolean;
  readonly spare: number;
  readonly extra: number;
  readonly points: readonly number[];
  readonly first: number;
  readonly top: number;
  readonly remarks: Readonly<Record<string, unknown>>;
}

const UNPRUNED: Prune = {
  rule: null,
  elects: false,
  states: false,
  needs: 'nothing',
  together: false,
  absolute: false,
  spare: 0,
  extra: 0,
  points: [],
  first: 0,
  top: 0,
  remarks: {},
};

const names = Object.keys(rules);

const typed = z.looseObject(
  { type: z.enum(names, `one of ${names.join(', ')}`) },
  'an object with a type',
);

/** @param raw null or undefined: nothing is given up. Throws a ZodError under `prune`. */
export function pruned(raw: unknown, context: RuleContext): Prune {
  if (raw === null || raw === undefined) return UNPRUNED;
  try {
    const { type, ...fields } = read(typed, raw);
    const params = rules[type]!.parse(withoutNulls(fields), context);
    const rule = deciding[type];
    if (rule !== undefined) return termsOf(type, rule, params, context.maxTokens);
    const states = electing[type]!.states ?? false;
    return { ...UNPRUNED, rule: { type, params }, elects: true, together: true, states };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw new z.ZodError(
      error.issues.map((issue) => ({ ...issue, path: ['prune', ...issue.path] })),
    );
  }
}

const termsOf = <P>(type: string, rule: PruneRule<P>, params: P, maxTokens: number): Prune => ({
  rule: { type, params },
  elects: false,
  states: rule.states ?? false,
  needs: rule.needs,
  together: rule.together,
  absolute: rule.absolute ?? false,
  spare: rule.spare ?? 0,
  extra: rule.extra?.(params) ?? 0,
  points: rule.points(params, maxTokens),
  first: rule.first?.(params) ?? 0,
  top: rule.top ?? 0,
  remarks: rule.remarks?.(params) ?? {},
});

/** A rule at work in one search. */
interface Pruning {
  readonly decide: (asked: Deciding) => Promise<Verdict>;
  readonly enough: (done: readonly Branch[]) => boolean;
}

export function pruningBy({ rule }: Prune): Pruning {
  if (rule === null)
    return {
      decide: async ({ growing }) => ({ ranked: growing, keep: growing.length }),
      enough: () => false,
    };
  const known = deciding[rule.type]!;
  return {
    decide: known.decide(rule.params),
    enough: (done) => known.enough?.(rule.params, done) ?? false,
  };
}

/** The search of a rule that elects. @param all parked, and none of them begun */
export const election = (tree: Tree, all: readonly Branch[], { rule }: Prune): Search =>
  electing[rule!.type]!.search(tree, all, rule!.params);
