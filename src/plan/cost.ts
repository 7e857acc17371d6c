/** What a request may cost: tokens that fit in the context, branches and tokens within the server's and the preset's bounds. */

import { ServeError } from '../core/errors.ts';
import { wrong } from '../core/fields.ts';
import type { Lane } from '../core/guide.ts';
import { sum } from '../core/math.ts';
import type { Peak } from '../core/strategy.ts';
import type { Catalog, ModelCard } from './catalog.ts';
import type { Plan } from './plan.ts';

/** The token limit of a request, as asked for or left to the server. */
export interface TokenLimit {
  readonly asked: number | null;
  /** The field's name. */
  readonly at: string;
  /** Used where nothing was asked for, as far as there is room. */
  readonly fallback: number;
}

/** A prompt as each model reads it, and the path of its field. */
export interface Placed {
  readonly lanes: readonly Lane[];
  readonly at: string | null;
}

/** What a prompt and its answer must fit into: a lane's model, or a reward's, whose tokens are taken to be as many as the policy's. */
export interface Need {
  readonly card: ModelCard;
  /** Tokens that it reads beside them. */
  readonly extra?: number;
  /** Answers that it reads at a time. */
  readonly answers?: number;
}

/** Tokens each answer may have, from the context of every model that reads the prompts. */
export function fitContext(
  limit: TokenLimit,
  prompts: readonly Placed[],
  needs: readonly Need[],
  maxLength: number,
): number {
  const room = Math.min(...prompts.map((prompt) => roomOf(prompt, needs, limit, maxLength)));
  return limit.asked ?? Math.min(limit.fallback, room);
}

function roomOf(
  { lanes, at: promptAt }: Placed,
  needs: readonly Need[],
  { asked, at }: TokenLimit,
  maxLength: number,
): number {
  const rooms = lanes.map(({ model, prompt }, i) => {
    const need = needs[i];
    const context = Math.min(need?.card.context ?? maxLength, maxLength) - (need?.extra ?? 0);
    const room = Math.floor((context - prompt.length) / (need?.answers ?? 1));
    if (room >= (asked ?? 1)) return room;
    const wanted = asked === null ? 'at least one more' : `${at} ${asked}`;
    const advice = room < 1 ? 'shorten the prompt' : `ask for at most ${room}`;
    throw new ServeError(
      'context_length_exceeded',
      `the prompt has ${prompt.length} tokens for ${model} and ${wanted} were asked for, but the context holds ${context}; ${advice}`,
      room < 1 ? promptAt : at,
    );
  });
  return Math.min(...rooms);
}

/** Branches of the whole request, refused if they are too many. */
export function countBranches({ limits }: Catalog, peak: Peak, n: number, prompts: number): number {
  const branches = n * prompts * peak.most;
  if (branches <= limits.branches) return branches;
  throw new ServeError(
    'invalid_value',
    `n ${n} x prompts ${prompts} x branches ${peak.most} is ${branches}; this server allows ${limits.branches}`,
    'n',
  );
}

/** Keeps branches x tokens within `most`: refuses what was asked for, shortens what was left to the server. */
export function capTokens(
  tokens: number,
  branches: number,
  limit: TokenLimit,
  most: number,
): number {
  const each = Math.floor(most / branches);
  if (tokens <= each) return tokens;
  if (limit.asked === null && each >= 1) return each;
  throw new ServeError(
    'invalid_value',
    `${branches} branches x ${limit.at} ${tokens} is ${branches * tokens} tokens; at most ${most} are allowed here, so ${each} each`,
    limit.at,
  );
}

/** Most tokens that policy and guides may draw or read: each prompt once, and every branch to its end or the budget's, on every lane. */
export function costOf({ prompts, n, opening }: Plan, branches: number): number {
  const lanes = prompts.flatMap((prompt) => prompt.lanes);
  const read = sum(lanes.map(({ prompt }) => prompt.length));
  const drawn = Math.min(branches * opening.maxTokens, n * prompts.length * opening.budget);
  return read + drawn * (lanes.length / prompts.length);
}

/** Tokens that each of the request's trees may draw: an equal share, so that none of them takes what others would have had. */
export function budgetOf(asked: number | null, most: number, trees: number): number {
  if (asked === null) return Math.floor(most / trees);
  if (asked < trees)
    throw wrong(
      'alignment.budget.tokens',
      asked,
      `at least one token for each of ${trees} answers`,
    );
  return Math.floor(Math.min(asked, most) / trees);
}
