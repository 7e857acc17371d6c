/** What the tables of evidence ask of a running server, over HTTP as any client would, and how figures are put. */

import { readFileSync } from 'node:fs';
import { pooled } from '../support/pooled.ts';

/** Requests at once, fewer than may wait; answers do not depend on it. */
const CROWD = 64;

export interface CandidateFigures {
  readonly index: number;
  readonly score: number | null;
  readonly tokens: number;
  readonly status: string;
}

/** One answer, and what it cost in tokens of each kind of model. */
export interface Given {
  readonly text: string;
  readonly ended: boolean;
  /** Sum over tokens of log pi - log p, nats. */
  readonly kl: number;
  readonly candidates: readonly CandidateFigures[];
  /** Drawn, over all branches. */
  readonly policyTokens: number;
  readonly promptTokens: number;
  readonly guideTokens: number;
  readonly rewardTokens: number;
  readonly tokensSaved: number;
  /** The choice's `alignment` as the server gave it. */
  readonly alignment: Record<string, unknown>;
}

interface Reply {
  readonly choices: readonly { text: string; finish_reason: string }[];
  readonly usage: { prompt_tokens: number; alignment: Record<string, number> };
  readonly alignment: Record<string, unknown>;
}

export type Body = Readonly<Record<string, unknown>>;

/** A server at `base`. Throws with its message where it refuses. */
export function asking(base: string) {
  async function post<T>(path: string, body: Body): Promise<T> {
    const response = await fetch(`${base}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${path} ${JSON.stringify(body).slice(0, 300)}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** All choices of one completion, and the request's own figures. */
  const complete = (body: Body): Promise<Reply> => post('/v1/completions', body);

  /** One answer for each body, many at once. */
  const answers = (bodies: readonly Body[]): Promise<Given[]> =>
    pooled(bodies, CROWD, async (body) => given(await complete(body)));

  /** Scores of texts that continue one prompt; NaN where there is none. */
  async function score(
    query: string,
    documents: readonly string[],
    asked: Body,
  ): Promise<number[]> {
    const { data } = await post<{ data: { score: number | null }[] }>('/v1/score', {
      queries: query,
      documents,
      ...asked,
    });
    return data.map((one) => one.score ?? NaN);
  }

  return { complete, answers, score };
}

export type Asking = ReturnType<typeof asking>;

function given({ choices, usage, alignment }: Reply): Given {
  const { generated_tokens: policyTokens, guide_tokens, reward_tokens } = usage.alignment;
  const first = (alignment['choices'] as Record<string, unknown>[] | undefined)?.[0] ?? alignment;
  return {
    text: choices[0]!.text,
    ended: choices[0]!.finish_reason === 'stop',
    kl: klOf(first) ?? klOf(alignment) ?? 0,
    candidates: (first['candidates'] ?? alignment['candidates'] ?? []) as CandidateFigures[],
    policyTokens: policyTokens ?? 0,
    promptTokens: usage.prompt_tokens,
    guideTokens: guide_tokens ?? 0,
    rewardTokens: reward_tokens ?? 0,
    tokensSaved: Number(first['tokens_saved'] ?? alignment['tokens_saved'] ?? 0),
    alignment: first,
  };
}

function klOf(alignment: Record<string, unknown>): number | null {
  const kl = alignment['kl'];
  if (typeof kl === 'number') return kl;
  if (typeof kl === 'object' && kl !== null && 'value' in kl) return Number(kl.value);
  return null;
}

/** Held-out openings that no training saw. */
export const openings = (count: number): string[] =>
  linesOf<{ prompt: string }>('../data/prompts.jsonl', count).map(({ prompt }) => prompt);

/** The opening's number is its seed, so that rows of a table can be compared answer by answer. */
export const stories = (count: number, alignment: Body): Body[] =>
  openings(count).map((prompt, seed) => ({
    model: 'tales',
    prompt,
    seed,
    max_tokens: 160,
    alignment,
  }));

export const linesOf = <T>(path: string, count: number): T[] =>
  readFileSync(new URL(path, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .slice(0, count)
    .map((line) => JSON.parse(line) as T);

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

export interface Estimate {
  readonly mean: number;
  /** Standard error over independent values. */
  readonly error: number;
}

export function estimate(values: readonly number[]): Estimate {
  const m = mean(values);
  const variance = values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (values.length - 1);
  return { mean: m, error: Math.sqrt(variance / values.length) };
}

/** 0.52 ± 0.03 */
export const plusMinus = ({ mean: m, error }: Estimate, digits = 2): string =>
  `${m.toFixed(digits)} ± ${error.toFixed(digits)}`;

/** A ratio of means over the same prompts, with its 95 % interval by resampling them 2,000 times (seeded). */
export function ratioInterval(
  top: readonly number[],
  bottom: readonly number[],
  random: () => number,
): { readonly ratio: number; readonly low: number; readonly high: number } {
  const ratios = Array.from({ length: 2000 }, () => {
    let [a, b] = [0, 0];
    for (let i = 0; i < top.length; i++) {
      const at = Math.floor(random() * top.length);
      a += top[at]!;
      b += bottom[at]!;
    }
    return a / b;
  }).toSorted((a, b) => a - b);
  return { ratio: mean(top) / mean(bottom), low: ratios[50]!, high: ratios[1949]! };
}

/** What a server is asked for: rows come one after another, each when its answers are there. */
export interface Question {
  readonly title: string;
  readonly head: readonly string[];
  /** How many rows it has. */
  readonly size: number;
  /** Seconds that 200 prompts took, about: what is left of a run is guessed by it. */
  readonly seconds: number;
  /** It tells what rewards and guides read: its server remembers nothing. */
  readonly counts: boolean;
  /** What was run, and what to keep in mind. */
  note(prompts: number): string;
  rows(ask: Asking, prompts: number): AsyncGenerator<readonly string[]>;
}

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly notes: readonly string[];
}

export const markdown = ({ head, rows, notes }: Table): string =>
  [
    ...notes,
    '',
    `| ${head.join(' | ')} |`,
    `| ${head.map(() => '---').join(' | ')} |`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');
