/**
 * A judge of pairs: a language model reads the prompt and one answer, is shown another one, and says which is better. Each
 * pair is asked about in both orders and averaged, which takes out a bias for a place; what all pairs come to is the
 * tournament's.
 * Candidates of different prompts are not compared.
 */

import { logit, sigmoid } from '../core/math.ts';
import type { AskedText } from '../core/model.ts';
import { OTHER } from '../core/reward.ts';
import type { Candidate, Reward, RewardSource, Score } from '../core/reward.ts';
import { expected } from './judge.ts';
import type { Reader } from './reader.ts';
import { copeland, knockout, lottery, winRates } from './tournament.ts';

type Pairwise = Extract<RewardSource, { kind: 'pairwise' }>;

export function pairwise(reader: Reader, asked: Pairwise): Reward {
  return {
    name: `pairwise:${reader.name}`,
    reads: asked.reads,
    async score(batch, signal) {
      const scores = batch.map((): Score => ({ value: NaN, parts: {} }));
      const pools = groups(batch, asked.by.reading);
      await Promise.all(
        pools.map(async (pool) => {
          const all = await new Pool(
            { reader, asked, signal },
            pool.map((i) => batch[i]!),
          ).scores();
          pool.forEach((i, at) => (scores[i] = all[at]!));
        }),
      );
      return scores;
    },
  };
}

/** Indices of candidates of equal prompts. */
function groups(batch: readonly Candidate[], reading: string): number[][] {
  const pools = new Map<string, number[]>();
  batch.forEach(({ readings }, i) => {
    const key = readings[reading]!.join();
    pools.set(key, [...(pools.get(key) ?? []), i]);
  });
  return [...pools.values()];
}

interface Asking {
  readonly reader: Reader;
  readonly asked: Pairwise;
  readonly signal: AbortSignal | undefined;
}

/** Indices of two candidates. */
type Pair = readonly [number, number];

/** Candidates of one prompt. */
class Pool {
  readonly #asking: Asking;
  readonly #pool: readonly Candidate[];
  readonly #tokens: number[];
  /** Of each candidate's pairs: how many were judged, and how many of these alike in both orders. */
  readonly #judged: number[];
  readonly #alike: number[];

  constructor(asking: Asking, pool: readonly Candidate[]) {
    [this.#asking, this.#pool] = [asking, pool];
    const none = (): number[] => pool.map(() => 0);
    [this.#tokens, this.#judged, this.#alike] = [none(), none(), none()];
  }

  async scores(): Promise<Score[]> {
    const values = await this.#values();
    return values.map((value, i): Score => {
      const tokens = this.#tokens[i]!;
      if (this.#pool.length === 1) return { value, parts: {}, tokens };
      const pairs = this.#judged[i]!;
      if (pairs === 0) return { value: NaN, parts: {}, tokens };
      return { value, parts: { consistent: this.#alike[i]! / pairs }, tokens };
    });
  }

  async #values(): Promise<number[]> {
    const n = this.#pool.length;
    const { aggregate } = this.#asking.asked;
    if (aggregate === 'knockout')
      return knockout(n, async (i, j) => (await this.#chances([[i, j]]))[0]! >= 1 / 2);
    const wins = this.#pool.map(() => this.#pool.map(() => 1 / 2));
    const pairs = this.#pool.flatMap((_, i) =>
      this.#pool.slice(0, i).map((_other, j): Pair => [j, i]),
    );
    const chances = await this.#chances(pairs);
    pairs.forEach(([i, j], k) => ([wins[i]![j], wins[j]![i]] = [chances[k]!, 1 - chances[k]!]));
    return { win_rate: winRates, copeland, lottery }[aggregate](wins);
  }

  /** The chance that the first of each pair beats the second; 1/2 where the model could not read them. */
  async #chances(pairs: readonly Pair[]): Promise<readonly number[]> {
    const { reader, signal } = this.#asking;
    const bothOf = ([i, j]: Pair) => [this.#text(i, j), this.#text(j, i)];
    const texts = await reader.spell(pairs, bothOf, signal);
    return Promise.all(pairs.map((pair, k) => this.#chance(pair, texts[k]!)));
  }

  async #chance([i, j]: Pair, texts: readonly AskedText[]): Promise<number> {
    const { reader, asked, signal } = this.#asking;
    for (const { tokens } of texts) this.#tokens[i]! += tokens.length;
    const said = await reader.ask(texts, signal);
    const [first, second] = said.map((one) => (one === null ? NaN : expected(one, [1, 0])));
    const { probability, consistent } = bothOrders(first!, second!, asked.average);
    if (Number.isNaN(probability)) return 1 / 2;
    for (const one of [i, j]) {
      this.#judged[one]!++;
      this.#alike[one]! += Number(consistent);
    }
    return probability;
  }

  /** Prompt and answer i, and the question with answer j in it. */
  #text(i: number, j: number) {
    const { reader, asked } = this.#asking;
    const { by, question, labels } = asked;
    const { codec } = reader;
    const [{ readings, text }, other] = [this.#pool[i]!, this.#pool[j]!];
    const { lead, content, rest } = codec.turn(question.replaceAll(OTHER, () => other.text));
    const tokens = [...readings[by.reading]!, ...codec.encode(text), ...lead, ...content, ...rest];
    return { tokens, picks: labels.map((token) => ({ after: tokens.length - 1, token })) };
  }
}

/**
 * One judgement of two.
 * @param ab the chance that the first wins, A being the first; `ba` the same with B first
 */
export function bothOrders(
  ab: number,
  ba: number,
  average: Pairwise['average'],
): { readonly probability: number; readonly consistent: boolean } {
  return {
    probability:
      average === 'probability' ? (ab + 1 - ba) / 2 : sigmoid((logit(ab) - logit(ba)) / 2),
    consistent: ab > 1 / 2 === ba < 1 / 2,
  };
}
