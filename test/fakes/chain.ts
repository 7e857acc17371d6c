/** A tree over a first-order Markov chain, in float64: what strategies are held to exact numbers with. */

import { logSumExp, softmax } from '../../src/core/math.ts';
import { STREAM, uniform } from '../../src/core/philox.ts';
import type { Score } from '../../src/core/reward.ts';
import type {
  Branch,
  Draw,
  Finish,
  Peeked,
  Reach,
  Token,
  ToldNode,
  Tree,
} from '../../src/core/tree.ts';
import { pick } from '../../src/strategies/select.ts';

/** Probabilities of the next token: of the first, and after each token by its spelling. The last token of `vocab` ends. */
export interface Chain {
  readonly initial: readonly number[];
  readonly transition: Readonly<Record<string, readonly number[]>>;
}

export const VOCABULARY = ['a', 'b', 'c', '</s>'];
const END = VOCABULARY.length - 1;

export interface ChainAsk {
  readonly chain: Chain;
  readonly maxTokens: number;
  readonly width?: number;
  readonly promptTokens?: number;
  readonly seed?: number;
  /** Added to the log-probs: what guides come to. */
  readonly bend?: (last: Token | undefined, token: Token) => number;
  readonly reward?: (branch: Branch) => number;
  /** What tokens spell in texts, where it is not their names. */
  readonly vocabulary?: readonly string[];
}

class Link implements Branch {
  readonly id: number;
  tokens: Token[] = [];
  draws: Draw[] = [];
  logprob = 0;
  base = 0;
  logZ = 0;
  readonly states = null;
  finish: Finish | null = null;
  readonly #vocabulary: readonly string[];
  constructor(id: number, vocabulary: readonly string[]) {
    [this.id, this.#vocabulary] = [id, vocabulary];
  }
  get text(): string {
    return spelled(
      this.tokens.filter((token) => token !== END),
      this.#vocabulary,
    );
  }
}

export const spelled = (
  tokens: readonly Token[],
  vocabulary: readonly string[] = VOCABULARY,
): string => tokens.map((token) => vocabulary[token]).join('');

export const logRow = (chain: Chain, last: Token | undefined): number[] =>
  (last === undefined ? chain.initial : chain.transition[VOCABULARY[last]!]!).map(Math.log);

export class ChainTree implements Tree {
  readonly root: Branch;
  readonly width: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
  /** What the search says of its tree. */
  told: () => readonly ToldNode[] = () => [];
  readonly #ask: ChainAsk;
  #nextId = 1;

  constructor(ask: ChainAsk) {
    this.#ask = ask;
    this.root = new Link(0, ask.vocabulary ?? VOCABULARY);
    this.width = ask.width ?? 1000;
    this.promptTokens = ask.promptTokens ?? 1;
    this.maxTokens = ask.maxTokens;
  }

  fork(branch: Branch, n: number): Branch[] {
    return [branch, ...this.twins(branch, n - 1)];
  }

  twins(branch: Branch, n: number): Branch[] {
    return Array.from({ length: n }, () => {
      const { tokens, draws, logprob, base, logZ, finish } = branch;
      const copy = { tokens: [...tokens], draws: [...draws], logprob, base, logZ, finish };
      return Object.assign(new Link(this.#nextId++, this.#ask.vocabulary ?? VOCABULARY), copy);
    });
  }

  reorder(branches: readonly Branch[], places: readonly number[]): Branch[] {
    const heirs = branches.map((branch, i) => {
      const times = places.filter((place) => place === i).length;
      return times === 0 ? [] : this.fork(branch, times);
    });
    return places.map((place) => heirs[place]!.shift()!);
  }

  take(branch: Branch, next: Peeked): Branch {
    const [twin] = this.twins(branch, 1);
    this.push(twin!, next);
    return twin!;
  }

  async extend(branches: readonly Branch[], { tokens }: Reach): Promise<void> {
    for (const branch of branches)
      for (let n = 0; n < tokens && branch.finish === null; n++) {
        const law = this.#law(branch);
        const seed = BigInt(this.#ask.seed ?? 1);
        const u = uniform(seed, branch.tokens.length, branch.id, 0, STREAM.token);
        this.push(branch, law[pick(softmax(law.map(({ logprob }) => logprob)), u)]!);
      }
  }

  async peek(branch: Branch, k: number): Promise<readonly Peeked[]> {
    return this.#law(branch)
      .toSorted((a, b) => b.logprob - a.logprob || a.token - b.token)
      .slice(0, k);
  }

  push(branch: Branch, next: Peeked): void {
    const link = branch as Link;
    link.tokens.push(next.token);
    link.draws.push(next.draw);
    link.logprob += next.logprob;
    link.base += next.draw.base;
    link.logZ += next.logZ;
    if (next.ends) link.finish = 'stop';
    else if (link.tokens.length >= this.maxTokens) link.finish = 'length';
  }

  append(): void {
    throw new Error('a chain is not forced');
  }

  ask(): Promise<never> {
    throw new Error('a chain is not asked');
  }

  park(): void {}

  note(): void {}

  tell(nodes: () => readonly ToldNode[]): void {
    this.told = nodes;
  }

  uniform(step: number): number {
    return uniform(BigInt(this.#ask.seed ?? 1), step, 0, 0, STREAM.strategy);
  }

  async score(branches: readonly Branch[]): Promise<readonly Score[]> {
    return branches.map((one) => ({ value: this.#ask.reward?.(one) ?? 0, parts: {} }));
  }

  #law(branch: Branch): Peeked[] {
    const last = branch.tokens.at(-1);
    const base = logRow(this.#ask.chain, last);
    const combined = base.map((logp, token) => logp + (this.#ask.bend?.(last, token) ?? 0));
    const logZ = this.#ask.bend ? logSumExp(combined) : 0;
    return combined.map((value, token) => {
      const logprob = value - logZ;
      const draw = { token, logprob, base: base[token]!, kl: 0, entropy: 0, guides: [], top: [] };
      return { token, logprob, logZ, bias: 0, ends: token === END, draw };
    });
  }
}

/** Every answer of at most `maxTokens` tokens. */
export function answers(maxTokens: number): Token[][] {
  const open = (length: number): Token[][] =>
    length === 0 ? [[]] : open(length - 1).flatMap((head) => [0, 1, 2].map((t) => [...head, t]));
  const ended = Array.from({ length: maxTokens }, (_, n) => open(n).map((head) => [...head, END]));
  return [...ended.flat(), ...open(maxTokens)];
}

/** log p of an answer. */
export const logProbOf = (chain: Chain, tokens: readonly Token[]): number =>
  tokens.reduce((sum, token, i) => sum + logRow(chain, tokens[i - 1])[token]!, 0);
