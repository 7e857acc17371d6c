/**
 * KV rows over a graph whose KV grows: present is past and what was read, copied in the graph at every run, and
 * copied by us into it and out of it. Every token is read in a run whose shape depends on its position alone, so
 * that its bits do not depend on what else runs: prompts in blocks that begin at multiples of 32, read again from
 * there where a block was begun before; steps behind a past that is padded to one of few lengths. Graphs with
 * `use_cache_branch` were traced over one token there: they see a block right only where nothing is before it.
 */

import type { KvBlock } from '../../core/model.ts';
import type { Token } from '../../core/tree.ts';
import {
  allOf,
  eachAlone,
  emptyFeed,
  feedTensors,
  lastOf,
  saidOf,
  type ExportedModel,
  type ExportedRows,
  type Visit,
} from './rows.ts';
import { HostKv } from '../kv/host.ts';
import { presentName } from '../kv/store.ts';
import type { Tensor } from '../ort/ort.ts';
import { kvArray, kvBytes, kvElement, kvNames, type KvArray, type Shape } from '../shape.ts';

/** Tokens of a prompt that one run reads. */
const BLOCK = 32;
/** What copies of KV may take where runs have more than one row; one row may need more. */
const COPIES_BYTES = 2 ** 28;
/** Past and present, in buffers that grow by doubling. */
const COPIES = 4;

/** Most bytes that copies of a model's KV take. @param length of its rows */
export const copiesBytes = (shape: Shape, length: number): number =>
  Math.max(COPIES_BYTES, COPIES * kvBytes(shape) * (columnsOf(length) + BLOCK));

/** Columns of past behind which a row that holds so many steps: at most a quarter more, or a block. */
function columnsOf(held: number): number {
  const grain = Math.max(BLOCK, 2 ** Math.floor(Math.log2(Math.max(1, held))) / 4);
  return Math.ceil(held / grain) * grain;
}

/** A row's part in a run. */
interface Part {
  readonly row: number;
  /** Positions that it holds: the first of its KV. */
  readonly held: number;
  readonly tokens: Int32Array;
}

export class GrowingRows implements ExportedRows {
  readonly rows: number;
  readonly length: number;
  readonly #model: ExportedModel;
  readonly #kv: HostKv;
  /** What each row has read, [rows, length]: blocks are read from their beginning. */
  readonly #tokens: Int32Array;
  readonly #logits: Float32Array;

  constructor(model: ExportedModel, rows: number, length: number) {
    [this.#model, this.rows, this.length] = [model, rows, length];
    this.#kv = new HostKv(model.device.ort, model.shape, rows, length);
    this.#tokens = new Int32Array(rows * length);
    this.#logits = new Float32Array(rows * model.shape.vocab);
  }

  step(n: number, tokens: Int32Array, lengths: Int32Array): Float32Array {
    const { vocab } = this.#model.shape;
    const runs = new Map<number, Part[]>();
    for (let row = 0; row < n; row++) {
      const held = lengths[row]!;
      const token = tokens.subarray(row, row + 1);
      this.#tokens[row * this.length + held] = token[0]!;
      const columns = this.#columns(held);
      runs.set(columns, [...(runs.get(columns) ?? []), { row, held, tokens: token }]);
    }
    for (const [columns, all] of runs)
      for (const parts of this.#fitting(all, columns)) {
        const logits = this.#run(parts, columns, 1);
        parts.forEach((part, i) => {
          this.#keep(i, part, columns, 1, 0);
          this.#logits.set(logits.subarray(i * vocab, (i + 1) * vocab), part.row * vocab);
        });
      }
    return this.#logits.subarray(0, n * vocab);
  }

  prefill(row: number, tokens: readonly Token[], from: number): Float32Array {
    return lastOf(this, row, tokens, from);
  }

  prefillAll(row: number, tokens: readonly Token[], from: number): Float32Array {
    return allOf(this, row, tokens, from, this.#model.shape.vocab);
  }

  prefillBatch(first: number, prompts: readonly (readonly Token[])[]): Float32Array {
    return eachAlone(this, first, prompts, this.#model.shape.vocab);
  }

  read(row: number, tokens: readonly Token[], from: number, visit: Visit): void {
    const { vocab } = this.#model.shape;
    const [start, end] = [row * this.length, from + tokens.length];
    this.#tokens.set(tokens, start + from);
    for (let held = from - (from % this.#width(from)); held < end;) {
      const width = this.#width(held);
      const stop = Math.min(end, held + width);
      const columns = width === 1 ? this.#columns(held) : held;
      const part = { row, held, tokens: this.#tokens.subarray(start + held, start + stop) };
      const logits = this.#run([part], columns, width);
      const first = Math.max(from, held);
      this.#keep(0, part, columns, width, first - held);
      for (let position = first; position < stop; position++) {
        const at = (position - held) * vocab;
        visit(position, logits.subarray(at, at + vocab));
      }
      held += width;
    }
  }

  copy(from: number, to: number, length: number): void {
    this.#kv.copy(from, to, length);
    const source = from * this.length;
    this.#tokens.copyWithin(to * this.length, source, source + length);
  }

  swap(rowA: number, rowB: number, a: number, b: number): void {
    this.#kv.swap(rowA, rowB, a, b);
    const [tokensA, tokensB] = [this.#read(rowA, a).slice(), this.#read(rowB, b).slice()];
    this.#tokens.set(tokensB, rowA * this.length);
    this.#tokens.set(tokensA, rowB * this.length);
  }

  save(row: number, length: number): KvBlock {
    const kv = this.#kv.save(row, length);
    return new ReadBlock(kv, this.#read(row, length).slice());
  }

  load(row: number, block: KvBlock, length: number): void {
    const { kv, tokens } = block as ReadBlock;
    this.#kv.load(row, kv, length);
    this.#tokens.set(tokens.subarray(0, length), row * this.length);
  }

  [Symbol.dispose](): void {
    // Every run releases its own tensors.
  }

  /** The first tokens that a row has read. */
  #read(row: number, length: number): Int32Array {
    return this.#tokens.subarray(row * this.length, row * this.length + length);
  }

  /** Tokens of a prompt that are read in one run from a position on, which is the first of such. */
  #width(position: number): number {
    return this.#model.takes.cacheBranch && position >= BLOCK ? 1 : BLOCK;
  }

  #columns(held: number): number {
    const { takes, shape } = this.#model;
    if (!takes.positions) return held; // the graph counts columns: none may be padding
    return Math.min(columnsOf(held), shape.context - 1);
  }

  #fitting(parts: readonly Part[], columns: number): Part[][] {
    const each = COPIES * kvBytes(this.#model.shape) * (columns + 1);
    const most = Math.max(1, Math.floor(COPIES_BYTES / each));
    const runs = Math.ceil(parts.length / most);
    return Array.from({ length: runs }, (_, i) => parts.slice(i * most, (i + 1) * most));
  }

  /** Reads tokens, padded to `width`, behind `columns` of past; [parts, width, vocab]. */
  #run(parts: readonly Part[], columns: number, width: number): Float32Array {
    const { device, session, shape, copies } = this.#model;
    const { ort } = device;
    const { kvHeads, headDim, vocab } = shape;
    const [n, all] = [parts.length, columns + width];
    const said = saidOf(this.#model, [n, width, vocab], new Float32Array(n * width * vocab));
    const kv = (buffers: KvArray[], length: number, name: (past: string) => string) =>
      kvNames(shape).map((past, i): [string, Tensor] => {
        const part = grown(shape, buffers, i, n * kvHeads * length * headDim);
        return [name(past), ort.tensor(kvElement(shape), [n, kvHeads, length, headDim], part)];
      });
    const inputs = {
      ...feedTensors(this.#model, feedOf(parts, columns, width), n, width, all),
      ...Object.fromEntries(kv(copies.past, columns, (past) => past)),
    };
    const outputs = {
      logits: said.tensor,
      ...Object.fromEntries(kv(copies.present, all, presentName)),
    };
    parts.forEach((part, i) => this.#fetch(i, part, columns));
    try {
      session.bind(inputs, outputs).run();
    } finally {
      for (const tensor of [...Object.values(inputs), ...Object.values(outputs)])
        tensor[Symbol.dispose]();
    }
    return said.read();
  }

  /** Copies what a row holds to the past of a run's row `i`. What is behind it there is old, and masked. */
  #fetch(i: number, { row, held }: Part, columns: number): void {
    this.#eachHead(i, row, (kv, own, head, b) => {
      const { copies, shape } = this.#model;
      const { headDim } = shape;
      copies.past[b]!.set(kv.subarray(own, own + held * headDim), head * columns * headDim);
    });
  }

  /** Copies what a run's row `i` has read to the row's own KV, its first `known` tokens aside. */
  #keep(
    i: number,
    { row, held, tokens }: Part,
    columns: number,
    width: number,
    known: number,
  ): void {
    const { copies, shape } = this.#model;
    const { headDim } = shape;
    this.#eachHead(i, row, (kv, own, head, b) => {
      const from = head * (columns + width) + columns;
      const fresh = copies.present[b]!.subarray(
        (from + known) * headDim,
        (from + tokens.length) * headDim,
      );
      kv.set(fresh, own + (held + known) * headDim);
    });
  }

  /** Every buffer and head: where it begins in the row's KV, and its number among the heads of a run whose row `i` it is. */
  #eachHead(
    i: number,
    row: number,
    visit: (kv: KvArray, own: number, head: number, buffer: number) => void,
  ): void {
    const { buffers, rowSize, headSize } = this.#kv;
    const { kvHeads } = this.#model.shape;
    buffers.forEach((kv, b) => {
      for (let head = 0; head < kvHeads; head++)
        visit(kv, row * rowSize + head * headSize, i * kvHeads + head, b);
    });
  }
}

/** KV, and the tokens that it is of. */
class ReadBlock implements KvBlock {
  readonly length: number;
  readonly bytes: number;
  readonly kv: KvBlock;
  readonly tokens: Int32Array;
  constructor(kv: KvBlock, tokens: Int32Array) {
    [this.kv, this.tokens] = [kv, tokens];
    [this.length, this.bytes] = [kv.length, kv.bytes];
  }
}

/** The first `size` values of a buffer that grows with what is asked of it; numbers all, as masked KV must be. */
function grown(shape: Shape, buffers: KvArray[], i: number, size: number): KvArray {
  const known = buffers[i];
  const fits = known !== undefined && known.length >= size;
  const buffer = fits ? known : kvArray(shape, Math.max(size, 2 * (known?.length ?? 0)));
  buffers[i] = buffer;
  return buffer.subarray(0, size);
}

/** Behind the past, which is seen as far as it is held, stands what is read; padding repeats the last position. */
function feedOf(parts: readonly Part[], columns: number, width: number) {
  const feed = emptyFeed(parts.length, width, columns + width);
  parts.forEach(({ held, tokens }, i) => {
    const [at, start] = [i * width, i * (columns + width)];
    tokens.forEach((token, j) => (feed.ids[at + j] = BigInt(token)));
    for (let j = 0; j < width; j++)
      feed.positions[at + j] = BigInt(held + Math.min(j, tokens.length - 1));
    feed.mask.fill(1n, start, start + held);
    feed.mask.fill(1n, start + columns, start + columns + tokens.length);
  });
  return feed;
}
