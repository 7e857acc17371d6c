/**
 * A decoder-only model in the GQA form (ENGINE.md): KV rows live in one buffer per layer that is both past
 * and present, so a step appends in place. Everything ORT needs is built once per row count and reused.
 */

import { join } from 'node:path';
import type { KvRows, LanguageModel, TextModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import type { Bound, Ort, OrtSession, Tensor } from './ort.ts';
import { KvStore, present } from './kv_store.ts';
import { lastPlaces, paddedInputs, readWhole } from './padded.ts';
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
export function loadDecoder(ort: Ort, folder: string, name: string): Decoder {
  const shape = shapeOf(folder);
  const session = sharedSession(ort, join(folder, 'model.onnx'));
  const model = { ort, session, shape, output: logitsOf(shape) };
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
      textModel(ort, {
        name,
        shape,
        vocab,
        read: (texts, places, logits) => readWhole(ort, session, shape, texts, places, { logits }),
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
  readonly ort: Ort;
  readonly session: OrtSession;
  readonly shape: Shape;
  readonly output: Output;
}

export class OrtRows extends KvStore implements KvRows {
  readonly #ort: Ort;
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
  readonly #rowKv: (Record<string, Tensor> | undefined)[] = [];
  readonly #owned: Tensor[] = [];

  constructor(
    { ort, session, shape, output }: OrtModel,
    { rows, length }: { readonly rows: number; readonly length: number },
  ) {
    super(shape, rows, length);
    [this.#ort, this.#session, this.#output] = [ort, session, output];
    this.#ids = new BigInt64Array(rows);
    this.#past = new Int32Array(rows);
    this.#places = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row));
    this.#logits = new Float32Array(rows * output.width);
    this.#prefillLogits = new Float32Array(rows * output.width);
  }

  step(n: number, tokens: Int32Array, lengths: Int32Array): Float32Array {
    let longest = 0;
    for (let i = 0; i < n; i++) {
      this.#ids[i] = BigInt(tokens[i]!);
      this.#past[i] = lengths[i]!;
      longest = Math.max(longest, lengths[i]!);
    }
    this.#total[0] = longest + 1;
    const step = (this.#steps[n] ??= this.#buildStep(n));
    step.run.run();
    return step.logits;
  }

  prefill(row: number, tokens: readonly Token[], from: number): Float32Array {
    const kv = (this.#rowKv[row] ??= this.#ownKv(row, 1));
    return this.#read(kv, [tokens], from);
  }

  prefillBatch(first: number, prompts: readonly (readonly Token[])[]): Float32Array {
    const kv = this.tensors(this.#ort, first, prompts.length);
    try {
      return this.#read(kv, prompts, 0);
    } finally {
      for (const tensor of Object.values(kv)) tensor[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
  }

  #buildStep(n: number): Step {
    const logits = this.#logits.subarray(0, n * this.#output.width);
    const kv = this.#ownKv(0, n);
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

  /** Reads right-padded prompts into the rows behind `kv`; one prompt may start at `from`. */
  #read(
    kv: Record<string, Tensor>,
    prompts: readonly (readonly Token[])[],
    from: number,
  ): Float32Array {
    const rows = prompts.length;
    const logits = this.#prefillLogits.subarray(0, rows * this.#output.width);
    const inputs = paddedInputs(this.#ort, prompts, lastPlaces(prompts), { from });
    const out = this.#ort.tensor('float32', this.#output.dims(rows), logits);
    try {
      this.#bind(inputs, kv, out).run();
    } finally {
      for (const tensor of [...Object.values(inputs), out]) tensor[Symbol.dispose]();
    }
    return logits;
  }

  #bind(inputs: Record<string, Tensor>, kv: Record<string, Tensor>, out: Tensor): Bound {
    const outputs = { [this.#output.name]: out, ...present(kv) };
    return this.#session.bind({ ...inputs, ...kv }, outputs);
  }

  /** Tensors that live as long as the rows do. */
  #ownKv(first: number, n: number): Record<string, Tensor> {
    const kv = this.tensors(this.#ort, first, n);
    this.#owned.push(...Object.values(kv));
    return kv;
  }
}
