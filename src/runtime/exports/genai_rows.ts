/**
 * KV rows over a graph of onnxruntime-genai: the buffers are past and present at once, as in our own graphs, but row
 * lengths are told by a mask, and logits are given at every position. Prompts are read in pieces, so that these
 * logits take little memory: GroupQueryAttention leaves the same bits for any pieces of two tokens or more.
 */

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
  type Feed,
  type Said,
  type Visit,
} from './rows.ts';
import { present, StoredRows } from '../kv/store.ts';
import type { Bound, Tensor } from '../ort/ort.ts';
import { checkTokens, piecesOf } from '../padded.ts';

/** Tokens of a prompt that one run reads. */
const PIECE = 64;

interface Step {
  readonly run: Bound;
  /** [rows, vocab] */
  readonly logits: Said;
}

export class GenaiRows extends StoredRows implements ExportedRows {
  readonly #model: ExportedModel;
  /** Of steps: the mask is as wide as a row. */
  readonly #feed: Feed;
  /** How much of each row the mask shows. */
  readonly #shown: Int32Array;
  readonly #logits: Float32Array;
  readonly #steps: (Step | undefined)[] = [];
  readonly #owned: Tensor[] = [];

  constructor(model: ExportedModel, rows: number, length: number) {
    super(model.device.store(model.shape, rows, length));
    this.#model = model;
    this.#feed = emptyFeed(rows, 1, length);
    this.#shown = new Int32Array(rows);
    this.#logits = new Float32Array(Math.max(rows, PIECE) * model.shape.vocab);
  }

  step(n: number, tokens: Int32Array, lengths: Int32Array): Float32Array {
    checkTokens(tokens, n, this.#model.shape);
    for (let i = 0; i < n; i++) {
      this.#feed.ids[i] = BigInt(tokens[i]!);
      this.#feed.positions[i] = BigInt(lengths[i]!);
      this.#show(i, lengths[i]! + 1);
    }
    const step = (this.#steps[n] ??= this.#buildStep(n));
    step.run.run();
    return step.logits.read();
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
    checkTokens(tokens, tokens.length, this.#model.shape);
    const { device, shape } = this.#model;
    let at = 0;
    for (const size of piecesOf(tokens.length, Math.min(PIECE, device.widest(shape)))) {
      this.#readPiece(row, tokens.slice(at, at + size), from + at, visit);
      at += size;
    }
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
    this.kv[Symbol.dispose]();
  }

  /** The operator reads no more of a row's mask than its sum: only what changes is written. */
  #show(row: number, length: number): void {
    const [start, shown] = [row * this.length, this.#shown[row]!];
    if (length > shown) this.#feed.mask.fill(1n, start + shown, start + length);
    else this.#feed.mask.fill(0n, start + length, start + shown);
    this.#shown[row] = length;
  }

  #buildStep(n: number): Step {
    const { session, shape } = this.#model;
    const floats = this.#logits.subarray(0, n * shape.vocab);
    const logits = saidOf(this.#model, [n, 1, shape.vocab], floats);
    const kv = this.kv.front(n);
    const inputs = feedTensors(this.#model, this.#feed, n, 1, this.length);
    this.#owned.push(...Object.values(inputs), logits.tensor);
    const outputs = { logits: logits.tensor, ...present(kv) };
    return { run: session.bind({ ...inputs, ...kv }, outputs), logits };
  }

  #readPiece(row: number, tokens: readonly Token[], from: number, visit: Visit): void {
    const { session, shape } = this.#model;
    const [n, { vocab }] = [tokens.length, shape];
    const feed = emptyFeed(1, n, from + n);
    feed.mask.fill(1n);
    for (let i = 0; i < n; i++) {
      feed.ids[i] = BigInt(tokens[i]!);
      feed.positions[i] = BigInt(from + i);
    }
    const inputs = feedTensors(this.#model, feed, 1, n, from + n);
    const said = saidOf(this.#model, [1, n, vocab], this.#logits.subarray(0, n * vocab));
    try {
      this.kv.lend(row, 1, from, (kv) =>
        session.bind({ ...inputs, ...kv }, { logits: said.tensor, ...present(kv) }).run(),
      );
    } finally {
      for (const tensor of [...Object.values(inputs), said.tensor]) tensor[Symbol.dispose]();
    }
    const logits = said.read();
    for (let i = 0; i < n; i++) visit(from + i, logits.subarray(i * vocab, (i + 1) * vocab));
  }
}
