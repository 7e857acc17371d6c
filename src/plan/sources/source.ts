/** What a kind of reward source knows about its own part of the wire. */

import type { z } from 'zod';
import { check, strict } from '../../core/fields.ts';
import type { RewardSource } from '../../core/reward.ts';
import type { PartialFigure } from '../../core/strategy.ts';
import type { Catalog, Limits, ModelCard, RewardStats } from '../catalog.ts';
import type { Named } from '../grant.ts';
import { memberParts } from '../schema.ts';
import type { MemberWire, OwnPrompt } from '../schema.ts';

/** A model that reads prompts and answers in order to judge them, on the request's prompt or on one of its own. */
export interface Reader {
  /** Of its reading in `Candidate.readings`: equal keys stand for equal tokens. */
  readonly key: string;
  readonly card: ModelCard;
  readonly own: OwnPrompt;
  /** Path of the field that asks for it. */
  readonly at: string;
}

/** A source made valid. */
export interface SourceSpec {
  readonly source: RewardSource;
  /** Its member's id where the request gives none. */
  readonly name: string;
  readonly reads: 'prefix' | 'complete';
  /** Figures of its scores over base samples, where they are stored. */
  readonly stats?: RewardStats;
  /** What prefixes say of whole answers, where that is stored. */
  readonly partial?: readonly PartialFigure[];
  readonly readers: readonly Reader[];
  /** Names of the config that it stands on, for what an API key may use. */
  readonly named: readonly Named[];
  /** Whether it reads nothing of a candidate but prompt and text, so that it can judge any part of one. */
  readonly stepwise?: true;
  /** Path of the field that names it. */
  readonly at: string;
}

/** A source and what else its member says. */
export interface ParsedMember {
  readonly spec: SourceSpec;
  readonly wire: MemberWire;
}

export interface SourceKind {
  /** @throws ServeError with the path of the field at fault */
  parse(raw: unknown, at: string, catalog: Catalog): ParsedMember;
}

/**
 * @param fields those that only this kind has
 * @param specOf makes them valid against the catalog
 */
export function sourceKind<S extends z.core.$ZodLooseShape>(
  fields: S,
  specOf: (wire: z.output<z.ZodObject<S>>, at: string, catalog: Catalog) => SourceSpec,
): SourceKind {
  const built = new WeakMap<Limits, z.ZodType>(); // a schema takes longer to build than to use
  const schemaOf = (limits: Limits): z.ZodType => {
    const schema = built.get(limits) ?? strict({ ...fields, ...memberParts(limits) });
    built.set(limits, schema);
    return schema;
  };
  return {
    parse(raw, at, catalog) {
      const wire = check(schemaOf(catalog.limits), raw, at);
      // The intersection of two shapes, which zod's types cannot spread.
      const [own, common] = [wire as z.output<z.ZodObject<S>>, wire as MemberWire];
      return { spec: specOf(own, at, catalog), wire: common };
    },
  };
}
