/**
 * A decoder-only model in the GQA form (ENGINE.md): KV rows live in one buffer per layer that is both past
 * and present, so a step appends in place. Everything ORT needs is built once per row count and reused.
 */

import { join } from 'node:path';
import type { KvRows, LanguageModel, TextModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import type { Device } from './device.ts';
import { present, StoredRows, type KvTensors } from './kv_store.ts';
import type { Bound, Ort, OrtSession, Tensor } from './ort.ts';
import { checkTokens, lastPlaces, paddedInputs, readWhole } from './padded.ts';
import { kvBytes, shapeOf, type Shape } from './shape.ts';
import { sharedSession } from './shared_session.ts';
import { textModel } from './text_model.ts';

export interface Decoder extends LanguageModel, Disposable {
  /** The same weights, asked about texts that are written already. @param vocab length of the tokenizer */
  texts(vocab: number): TextModel & Disposable;
}

/**
 * Loads `config.json` and `model.onnx` of a folder, and tries the model once.
 * @throws Error that names the folder and carries ORT's message if the file is damaged or of another layout
 */
export function loadDecoder(device: Device, folder: string, name: string): Decoder {
  const shape = shapeOf(folder);
  const session = sharedSession(device, join(folder, 'model.onnx'));
  const model = { device, session, shape, output: logitsOf(shape) };
  try {
    using rows = new OrtRows(model, { rows: 1, length: 2 });
    rows.prefill(0, [0, 0], 0);
  } catch (error) {
    session[Symbol.dispose]();
    throw new Error(`${folder} is no decoder as the importer writes it: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return {
    name,
    width: shape.vocab,
    context: shape.context,
    kvBytes: kvBytes(shape),
    open: (rows, length) => new OrtRows(model, { rows, length }),
    texts: (vocab) =>
      textModel(device.ort, {
        name,
        shape,
        vocab,
        read: (texts, places, logits) =>
          readWhole(device.ort, session, shape, texts, places, { logits }),
      }),
    [Symbol.dispose]: () => session[Symbol.dispose](),
  };
}

const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

interface Step {
  readonly run: Bound;
  readonly logits: Float32Array;
}

/** What a graph says of each place that it is read out at. */
export interface Output {
  readonly name: string;
  /** Numbers of a place. */
  readonly width: number;
  readonly dims: (places: number) => number[];
}

const logitsOf = ({ vocab }: Shape): Output => ({
  name: 'logits',
  width: vocab,
  dims: (places) => [places, vocab],
});

/** A session and what its tensors look like. */
export interface OrtModel {
  readonly device: Device;
  readonly session: OrtSession;
  readonly shape: Shape;
  readonly output: Output;
}

export class OrtRows extends StoredRows implements KvRows {
  readonly #ort: Ort;
  readonly #shape: Shape;
  readonly #session: OrtSession;
  readonly #output: Output;

  readonly #ids: BigInt64Array;
  readonly #past: Int32Array;
  readonly #total = new Int32Array(1);
  /** A step reads every row out: 0, 1, 2, ... */
  readonly #places: BigInt64Array;
  readonly #logits: Float32Array;
  readonly #prefillLogits: Float32Array;
  readonly #steps: (Step | undefined)[] = [];
  readonly #owned: Tensor[] = [];

  constructor(
    { device, session, shape, output }: OrtModel,
    { rows, length }: { readonly rows: number; readonly length: number },
  ) {
    super(device.store(shape, rows, length));
    [this.#ort, this.#session, this.#output, this.#shape] = [device.ort, session, output, shape];
    this.#ids = new BigInt64Array(rows);
    this.#past = new Int32Array(rows);
    this.#places = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row));
    this.#logits = new Float32Array(rows * output.width);
    this.#prefillLogits = new Float32Array(rows * output.width);
  }

  step(n: number, tokens: Int32Array, lengths: Int32Array): Float32Array {
    let longest = 0;
    checkTokens(tokens, n, this.#shape);
    for (let i = 0; i < n; i++) {
      this.#ids[i] = BigInt(tokens[i]!);
      this.#past[i] = lengths[i]!;
      longest = Math.max(longest, lengths[i]!);
    }
    this.#checkEnd(longest + 1);
    this.#total[0] = longest + 1;
    const step = (this.#steps[n] ??= this.#buildStep(n));
    step.run.run();
    return step.logits;
  }

  prefill(row: number, tokens: readonly Token[], from: number): Float32Array {
    return this.#read(row, [tokens], from);
  }

  prefillBatch(first: number, prompts: readonly (readonly Token[])[]): Float32Array {
    if (first === 0 || prompts.length <= this.kv.most) return this.#read(first, prompts, 0);
    const { width } = this.#output;
    const logits = new Float32Array(prompts.length * width);
    for (let at = 0; at < prompts.length; at += this.kv.most)
      logits.set(this.#read(first + at, prompts.slice(at, at + this.kv.most), 0), at * width);
    return logits;
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
    this.kv[Symbol.dispose]();
  }

  #buildStep(n: number): Step {
    const logits = this.#logits.subarray(0, n * this.#output.width);
    const kv = this.kv.front(n);
    const own = (tensor: Tensor): Tensor => (this.#owned.push(tensor), tensor);
    const inputs = {
      input_ids: own(this.#ort.tensor('int64', [n, 1], this.#ids.subarray(0, n))),
      seqlens_k: own(this.#ort.tensor('int32', [n], this.#past.subarray(0, n))),
      total_sequence_length: own(this.#ort.tensor('int32', [], this.#total)),
      read_index: own(this.#ort.tensor('int64', [n], this.#places.subarray(0, n))),
    };
    const out = own(this.#ort.tensor('float32', this.#output.dims(n), logits));
    return { run: this.#bind(inputs, kv, out), logits };
  }

  /** Reads right-padded prompts into the rows from `first` on; one prompt may start at `from`. */
  #read(first: number, prompts: readonly (readonly Token[])[], from: number): Float32Array {
    const rows = prompts.length;
    for (const prompt of prompts) checkTokens(prompt, prompt.length, this.#shape);
    this.#checkEnd(from + prompts.reduce((longest, prompt) => Math.max(longest, prompt.length), 0));
    const logits = this.#prefillLogits.subarray(0, rows * this.#output.width);
    const inputs = paddedInputs(this.#ort, prompts, lastPlaces(prompts), { from });
    const out = this.#ort.tensor('float32', this.#output.dims(rows), logits);
    try {
      this.kv.lend(first, rows, from, (kv) => this.#bind(inputs, kv, out).run());
    } finally {
      for (const tensor of [...Object.values(inputs), out]) tensor[Symbol.dispose]();
    }
    return logits;
  }

  #bind(inputs: Record<string, Tensor>, kv: KvTensors, out: Tensor): Bound {
    const outputs = { [this.#output.name]: out, ...present(kv) };
    return this.#session.bind({ ...inputs, ...kv }, outputs);
  }

  /** What is behind a row would be another's, and a device writes there without a word. */
  #checkEnd(end: number): void {
    if (end > this.length)
      throw new Error(`a row was to hold ${end} positions; it has room for ${this.length}`);
  }
}
