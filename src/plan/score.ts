/** A /v1/score body made valid: texts paired with what they answer, or conversations, and the reward that judges them. */

import { ServeError } from '../core/errors.ts';
import {
  anything,
  check,
  flag,
  joinPath,
  list,
  perLimits,
  strict,
  text,
  tolerant,
  wrong,
} from '../core/fields.ts';
import { sum } from '../core/math.ts';
import type { Candidate, Judging } from '../core/reward.ts';
import { policyCard } from './catalog.ts';
import type { Catalog, Limits } from './catalog.ts';
import type { Named } from './grant.ts';
import { chatSource, continued, renderer, sourceText, wellFormed } from './prompt.ts';
import type { Source } from './prompt.ts';
import { parseRewards } from './rewards.ts';
import type { Rewards } from './rewards.ts';
import { tellingTokens } from './token_scores.ts';
import { messagesSchema, rewardParts, stepsSchema } from './wire.ts';
import type { ChatWire } from './wire.ts';

/** What is to be judged, and what the answer says of it. */
export interface Scoring {
  readonly judging: Omit<Judging, 'id' | 'request'>;
  /** As the client named it; the members' names where it named several. */
  readonly model: string;
  /** Models that judge. */
  readonly named: readonly Named[];
  /** Tokens that the models will read. */
  readonly tokens: number;
}

/** A text, what it answers, and the path of its field. */
interface Pair {
  readonly query: Source;
  readonly document: string;
  readonly at: string;
}

export const scoreSchema = perLimits((limits: Limits) =>
  tolerant({
    model: text(256, 1).nullish(),
    queries: anything,
    documents: anything,
    messages: anything,
    /** Whether the texts are finished answers; true. */
    complete: flag.nullish(),
    /** How members that say nothing of steps cut texts into them. */
    steps: stepsSchema(limits).nullish(),
    /** Whether likelihoods and ratios tell what each token of a text is worth. */
    tokens: flag.nullish(),
    alignment: strict(rewardParts(limits)).nullish(),
  }),
);

export function parseScore(raw: unknown, catalog: Catalog): Scoring {
  const wire = check(scoreSchema(catalog.limits), raw, '');
  const pairs = wire.messages
    ? conversations(wire.messages, catalog)
    : textPairs(wire.queries, wire.documents, catalog);
  const scoring = scoringOf(wire, pairs, wire.complete ?? true, catalog);
  return wire.tokens ? tellingTokens(scoring, catalog.limits) : scoring;
}

/** Who judges, as all bodies say it. */
interface Judges {
  readonly model?: string | null | undefined;
  readonly steps?: unknown;
  readonly alignment?: Parts | null | undefined;
}

/** @param complete whether the texts are finished answers */
export function scoringOf(
  { model, steps, alignment }: Judges,
  pairs: readonly Pair[],
  complete: boolean,
  served: Catalog,
): Scoring {
  const catalog = alignment && model ? { ...served, policy: policyOf(model, served) } : served;
  if (!alignment && !model) throw wrong('model', undefined, 'the name of a reward model');
  const parts = alignment ?? { rewards: [{ model }] };
  const rewards = rewardsOf(
    steps ? { ...parts, rewards: parts.rewards?.map((one) => withSteps(one, steps)) } : parts,
    catalog,
    alignment ? null : 'model',
  );
  const read = renderer();
  const candidates = pairs.map((pair) => candidateOf(pair, complete, { rewards, catalog, read }));
  const others = 2 * (pairs.length - 1); // a judge of pairs reads each beside each other one, in both orders
  const pairing = rewards.readings.some(({ answers }) => answers !== undefined) ? others : 1;
  return {
    judging: { reward: rewards.plan, candidates: candidates.map(({ candidate }) => candidate) },
    model: model ?? rewards.plan.uses.map(({ id }) => id).join('+'),
    named: [
      ...(model ? [{ name: model, at: 'model' }] : []),
      ...(alignment ? rewards.readings : []).map(({ card, at }) => ({ name: card.name, at })),
      ...rewards.specs.flatMap(({ remote }) => remote ?? []),
    ],
    tokens: sum(candidates.map(({ tokens }) => tokens * Math.max(1, pairing))),
  };
}

/** Where rewards are named apart, `model` says whose answers these are: it judges itself, and its tokens count. */
function policyOf(name: string, { models, presets }: Catalog): string {
  const policy = presets.get(name)?.policy ?? name;
  if (models.get(policy)?.role === 'policy') return policy;
  throw wrong('model', name, 'the policy whose answers these are, or left out beside alignment');
}

const withSteps = (member: unknown, steps: unknown): unknown =>
  typeof member === 'object' && member !== null ? { steps, ...member } : member;

type Parts = Parameters<typeof parseRewards>[0];

/** @param at the field that named the only reward; null: alignment did */
function rewardsOf(parts: Parts, catalog: Catalog, at: string | null): Rewards {
  try {
    const rewards = parseRewards(parts, catalog);
    if (rewards !== null) return rewards;
  } catch (error) {
    if (at === null || !(error instanceof ServeError)) throw error;
    const message = error.message.replace(error.param ?? '', at);
    throw new ServeError(error.code, message, at);
  }
  throw wrong('alignment.rewards', parts.rewards, 'a list of at least one reward with a weight');
}

/** One query for all documents, or one for each. */
export function textPairs(
  rawQueries: unknown,
  rawDocuments: unknown,
  catalog: Catalog,
  queriesAt = 'queries',
): Pair[] {
  const most = catalog.limits.documents;
  const documents = texts(rawDocuments, 'documents', most);
  const queries = texts(rawQueries, queriesAt, most);
  if (queries.length !== 1 && queries.length !== documents.length)
    throw wrong(queriesAt, rawQueries, `one string, or as many as documents: ${documents.length}`);
  const sources = queries.map((query, i) => {
    const at = Array.isArray(rawQueries) ? `${queriesAt}[${i}]` : queriesAt;
    return { kind: 'text', text: query, at } as const;
  });
  return documents.map((document, i) => ({
    query: sources[queries.length === 1 ? 0 : i]!,
    document,
    at: Array.isArray(rawDocuments) ? `documents[${i}]` : 'documents',
  }));
}

function texts(raw: unknown, at: string, most: number): string[] {
  const rule = `a string, or a list of 1 to ${most} of them`;
  const items: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
  if (items.length === 0 || items.length > most) throw wrong(at, raw, rule);
  return items.map((item, i) => {
    const path = Array.isArray(raw) ? joinPath(at, [i]) : at;
    if (typeof item !== 'string') throw wrong(path, item, rule);
    return wellFormed(item, path);
  });
}

const conversationsSchema = perLimits((limits: Limits) =>
  list(messagesSchema(limits), limits.documents, 1),
);

/** One conversation, or a list of them; each ends with the answer that is judged. */
function conversations(raw: unknown, catalog: Catalog): Pair[] {
  const many = Array.isArray(raw) && Array.isArray(raw[0]);
  const wires: ChatWire['messages'][] = many
    ? check(conversationsSchema(catalog.limits), raw, 'messages')
    : [check(messagesSchema(catalog.limits), raw, 'messages')];
  return wires.map((wire, i) => {
    const at = many ? `messages[${i}]` : 'messages';
    const source = chatSource(wire, at);
    const answer = source.messages.at(-1);
    if (answer?.role !== 'assistant' || wire.length < 2)
      throw wrong(at, wire, 'a conversation that ends with the message of an assistant');
    const query = { ...source, messages: source.messages.slice(0, -1), at };
    return { query, document: answer.content, at };
  });
}

interface Rendering {
  readonly rewards: Rewards;
  readonly catalog: Catalog;
  readonly read: ReturnType<typeof renderer>;
}

function candidateOf(
  { query, document, at }: Pair,
  complete: boolean,
  { rewards, catalog, read }: Rendering,
): { candidate: Candidate; tokens: number } {
  const policy = policyCard(catalog);
  let tokens = 0;
  const readings = rewards.readings.map(({ key, card, own, at: ownAt, extra, answers = 1 }) => {
    const prompt = read(card, query, own, ownAt);
    const answer = continued(card, document, at).length;
    const length = prompt.length + answer * answers + card.codec.closing(complete).length + extra;
    if (length > card.context)
      throw new ServeError(
        'context_length_exceeded',
        `${at} and what it answers have ${length} tokens for ${card.name}, which reads ${card.context}; shorten them`,
        at,
      );
    tokens += length;
    return [key, prompt] as const;
  });
  const candidate = {
    prompt: sourceText(query, policy),
    messages: query.kind === 'chat' ? query.messages : null,
    readings: Object.fromEntries(readings),
    text: document,
    tokens: policy.codec.encode(document),
    branch: 0,
    complete,
  };
  return { candidate, tokens };
}
