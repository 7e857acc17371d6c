/** The table of names. A new rule is a file beside this one and a line here. */

import { z } from 'zod';
import type { Branch } from '../../core/tree.ts';
import { calibrated } from './calibrated.ts';
import { confidence } from './confidence.ts';
import type { Deciding, PruneRule, RuleContext, Verdict } from './rule.ts';
import { selfEvaluation } from './self_evaluation.ts';
import { speculativeRejection } from './speculative_rejection.ts';
import { value } from './value.ts';

/** Parameters are checked by each rule's own `parse`; the table forgets their type. */
const rules: Readonly<Record<string, PruneRule<unknown>>> = {
  speculative_rejection: speculativeRejection,
  value,
  self_evaluation: selfEvaluation,
  confidence,
  calibrated,
};

/** A rule by its name, and what its `parse` returned. */
export interface Prune {
  readonly type: string;
  readonly params: unknown;
}

const names = Object.keys(rules);

export const pruneField = z.looseObject(
  { type: z.enum(names, `one of ${names.join(', ')}`) },
  'an object with a type',
);

/** Null in a field means left out. Throws a ZodError under `prune`. */
export function pruned({ type, ...raw }: z.output<typeof pruneField>, context: RuleContext): Prune {
  const given = Object.entries(raw).filter(([, one]) => one !== null);
  try {
    return { type, params: rules[type]!.parse(Object.fromEntries(given), context) };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw new z.ZodError(
      error.issues.map((issue) => ({ ...issue, path: ['prune', ...issue.path] })),
    );
  }
}

/** A rule with its parameters. */
export interface Ruling {
  readonly needs: 'nothing' | 'prefix';
  readonly together: boolean;
  readonly spare: number;
  readonly extra: number;
  readonly points: readonly number[];
  readonly first: number;
  readonly top: number;
  readonly remarks: Readonly<Record<string, unknown>>;
  decide(asked: Deciding): Promise<Verdict>;
  enough(done: readonly Branch[]): boolean;
}

/** Without a rule, nothing is given up. */
export function ruleOf(prune: Prune | null, maxTokens: number): Ruling {
  if (prune === null) return NONE;
  const { type, params } = prune;
  const rule = rules[type]!;
  return {
    needs: rule.needs,
    together: rule.together,
    spare: rule.spare ?? 0,
    extra: rule.extra?.(params) ?? 0,
    points: rule.points(params, maxTokens),
    first: rule.first?.(params) ?? 0,
    top: rule.top ?? 0,
    remarks: rule.remarks?.(params) ?? {},
    decide: (asked) => rule.decide(params, asked),
    enough: (done) => rule.enough?.(params, done) ?? false,
  };
}

const NONE: Ruling = {
  needs: 'nothing',
  together: false,
  spare: 0,
  extra: 0,
  points: [],
  first: 0,
  top: 0,
  remarks: {},
  decide: async ({ growing }) => ({ ranked: growing, keep: growing.length }),
  enough: () => false,
};
