/** What a kind of reward source knows about its own part of the wire. */

import type { z } from 'zod';
import { check, perLimits, strict } from '../../core/fields.ts';
import type { RewardSource } from '../../core/reward.ts';
import type { Schedule } from '../../core/strategy.ts';
import type { Catalog, Limits, ModelCard, RewardStats } from '../catalog.ts';
import type { Named } from '../grant.ts';
import { memberParts } from '../wire.ts';
import type { MemberWire, OwnPrompt } from '../wire.ts';

/** What is read in order to judge: a model, on the request's prompt or on one of its own. */
export interface ReadingSpec {
  /** In `Candidate.readings`: equal keys stand for equal tokens. */
  readonly key: string;
  readonly card: ModelCard;
  readonly own: OwnPrompt;
  /** Path of the field that asks for it. */
  readonly at: string;
  /** Tokens beside prompt and answer. */
  readonly extra: number;
  /** Answers at a time, each beside each other one; left out: one. */
  readonly answers?: number;
}

/** Models on the request's own prompt read it under their name. */
export const readingOf = (card: ModelCard, own: OwnPrompt, at: string, extra = 0): ReadingSpec => ({
  key: own ? JSON.stringify([card.name, own.system ?? null, own.text ?? null]) : card.name,
  card,
  own,
  at,
  extra,
});

/** Each once, with the most that is wanted beside it. */
export function onceEach(readings: readonly ReadingSpec[]): ReadingSpec[] {
  const known = new Map<string, ReadingSpec>();
  for (const reading of readings) {
    const other = known.get(reading.key);
    known.set(reading.key, other === undefined ? reading : hungrier(reading, other));
  }
  return [...known.values()];
}

function hungrier(a: ReadingSpec, b: ReadingSpec): ReadingSpec {
  const answers = Math.max(a.answers ?? 1, b.answers ?? 1);
  return { ...a, extra: Math.max(a.extra, b.extra), ...(answers > 1 ? { answers } : {}) };
}

/** A source made valid. */
export interface SourceSpec {
  readonly source: RewardSource;
  /** Its member's id where the request gives none. */
  readonly name: string;
  readonly reads: 'prefix' | 'complete';
  /** Figures of its scores over base samples, where they are stored. */
  readonly stats?: RewardStats;
  /** How well its scores of unfinished answers foretell the final ones, where that is stored. */
  readonly schedules?: readonly Schedule[];
  readonly readings: readonly ReadingSpec[];
  /** Where it stands on no reading but on another server: its name, for what an API key may use. */
  readonly remote?: Named;
  /** Whether it reads nothing of a candidate but prompt and text, so that it can judge any part of one. */
  readonly stepwise?: true;
  /** Its scores compare the candidates that are judged together. */
  readonly relative?: true;
  /** Path of the field that names it. */
  readonly at: string;
}

/** A source and what else its member says. */
export interface ParsedMember {
  readonly spec: SourceSpec;
  readonly wire: MemberWire;
}

export interface SourceKind {
  /** Its own fields and those of every member. */
  schema(limits: Limits): z.ZodType;
  /** @throws ServeError with the path of the field at fault */
  parse(raw: unknown, at: string, catalog: Catalog): ParsedMember;
}

/**
 * @param fields those that only this kind has
 * @param specOf makes them valid against the catalog
 */
export function sourceKind<S extends z.core.$ZodLooseShape>(
  fields: (limits: Limits) => S,
  specOf: (wire: z.output<z.ZodObject<S>>, at: string, catalog: Catalog) => SourceSpec,
): SourceKind {
  const schemaOf = perLimits((limits: Limits) =>
    strict({ ...fields(limits), ...memberParts(limits) }),
  );
  return {
    schema: schemaOf,
    parse(raw, at, catalog) {
      const wire = check(schemaOf(catalog.limits), raw, at);
      // The intersection of two shapes, which zod's types cannot spread.
      const [own, common] = [wire as z.output<z.ZodObject<S>>, wire as MemberWire];
      return { spec: specOf(own, at, catalog), wire: common };
    },
  };
}
