/**
 * A model whose logits are a hash of everything its row holds: of every token, and of whether prefill or a step
 * wrote it. A row copied short, a stale position or a prompt that was stepped changes the answer, as in a real one.
 */

import type {
  KvBlock,
  KvRows,
  LanguageModel,
  StateColumns,
  Steering,
  Vocabulary,
} from '../../src/core/model.ts';
import type { Token } from '../../src/core/tree.ts';

export const END = 0;

/** Tokens spell "a", "b", ...; token 0 ends an answer. */
export function fakeVocabulary(size: number, banned: readonly Token[] = []): Vocabulary {
  const spell = (token: Token): string => (token === END ? '' : String.fromCharCode(96 + token));
  return {
    size,
    bytes: (token) => new TextEncoder().encode(spell(token)),
    piece: spell,
    ends: new Set([END]),
    banned,
  };
}

interface Cell {
  readonly token: Token;
  readonly stepped: boolean;
  readonly steering: Steering;
}

class Cells implements KvBlock {
  readonly cells: readonly Cell[];
  constructor(cells: readonly Cell[]) {
    this.cells = cells;
  }
  get length(): number {
    return this.cells.length;
  }
  get bytes(): number {
    return 8 * this.cells.length;
  }
}

export interface FakeModel extends LanguageModel {
  /** Rows stepped, tokens prefilled, runs of each kind. */
  readonly work: {
    steps: number;
    rows: number;
    prefills: number;
    prefillTokens: number;
    copies: number;
  };
}

export function fakeModel(
  name: string,
  {
    states,
    width = states === undefined ? 27 : states.from + states.layers * states.width,
    context = 256,
    endBias = -1,
  }: { states?: StateColumns; width?: number; context?: number; endBias?: number } = {},
): FakeModel {
  const work = { steps: 0, rows: 0, prefills: 0, prefillTokens: 0, copies: 0 };
  const logitsOf = (cells: readonly Cell[]): Float32Array => {
    let h = hash(0, name.length);
    for (const c of name) h = hash(h, c.charCodeAt(0));
    for (const { token, stepped, steering } of cells) {
      h = hash(h, 2 * token + Number(stepped));
      for (const x of steering ?? []) h = hash(h, 1000 * x);
    }
    return Float32Array.from({ length: width }, (_, v) => {
      const x = (hash(h, v) >>> 8) / 2 ** 24;
      return 4 * x + (v === END ? endBias : 0);
    });
  };
  return {
    name,
    width,
    states: states ?? null,
    context,
    kvBytes: 8,
    work,
    open: (rows, length) => new FakeRows(rows, length, logitsOf, work, width),
  };
}

class FakeRows implements KvRows {
  readonly rows: number;
  readonly length: number;
  readonly #cells: Cell[][];
  readonly #logitsOf: (cells: readonly Cell[]) => Float32Array;
  readonly #work: FakeModel['work'];
  readonly #width: number;

  constructor(
    rows: number,
    length: number,
    logitsOf: (cells: readonly Cell[]) => Float32Array,
    work: FakeModel['work'],
    width: number,
  ) {
    [this.rows, this.length, this.#logitsOf, this.#work, this.#width] = [
      rows,
      length,
      logitsOf,
      work,
      width,
    ];
    this.#cells = Array.from({ length: rows }, () => []);
  }

  step(
    n: number,
    tokens: Int32Array,
    lengths: Int32Array,
    steering: readonly Steering[] = [],
  ): Float32Array {
    this.#work.steps++;
    this.#work.rows += n;
    const all = new Float32Array(n * this.#width);
    for (let i = 0; i < n; i++) {
      this.#write(i, lengths[i]!, [
        { token: tokens[i]!, stepped: true, steering: steering[i] ?? null },
      ]);
      all.set(this.#logitsOf(this.#cells[i]!), i * this.#width);
    }
    return all;
  }

  prefill(
    row: number,
    tokens: readonly Token[],
    from: number,
    steering: Steering = null,
  ): Float32Array {
    this.#work.prefills++;
    this.#work.prefillTokens += tokens.length;
    // One token alone is a step to a real model, whoever asks for it.
    const stepped = tokens.length === 1;
    this.#write(
      row,
      from,
      tokens.map((token) => ({ token, stepped, steering })),
    );
    return this.#logitsOf(this.#cells[row]!);
  }

  prefillAll(
    row: number,
    tokens: readonly Token[],
    from: number,
    steering: Steering = null,
  ): Float32Array {
    this.prefill(row, tokens, from, steering);
    const read = this.#held(row, from + tokens.length);
    const all = new Float32Array(tokens.length * this.#width);
    tokens.forEach((_, i) => all.set(this.#logitsOf(read.slice(0, from + i + 1)), i * this.#width));
    return all;
  }

  prefillBatch(
    first: number,
    prompts: readonly (readonly Token[])[],
    steering: readonly Steering[] = [],
  ): Float32Array {
    const all = new Float32Array(prompts.length * this.#width);
    prompts.forEach((prompt, i) =>
      all.set(this.prefill(first + i, prompt, 0, steering[i]), i * this.#width),
    );
    this.#work.prefills -= prompts.length - 1;
    return all;
  }

  copy(from: number, to: number, length: number): void {
    this.#work.copies++;
    this.#cells[to] = this.#held(from, length);
  }

  swap(rowA: number, rowB: number, a: number, b: number): void {
    [this.#cells[rowA], this.#cells[rowB]] = [this.#held(rowB, b), this.#held(rowA, a)];
  }

  save(row: number, length: number): KvBlock {
    return new Cells(this.#held(row, length));
  }

  load(row: number, block: KvBlock, length: number): void {
    this.#cells[row] = (block as Cells).cells.slice(0, length);
  }

  [Symbol.dispose](): void {}

  #held(row: number, length: number): Cell[] {
    const cells = this.#cells[row]!;
    if (cells.length < length)
      throw new Error(`row ${row} holds ${cells.length} positions, not ${length}`);
    return cells.slice(0, length);
  }

  #write(row: number, at: number, cells: readonly Cell[]): void {
    if (at + cells.length > this.length)
      throw new Error(`position ${at + cells.length} of ${this.length}`);
    this.#cells[row] = [...this.#held(row, at), ...cells];
  }
}

function hash(h: number, x: number): number {
  h = Math.imul(h ^ x, 0x85ebca6b) ^ 0x9e3779b9;
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
