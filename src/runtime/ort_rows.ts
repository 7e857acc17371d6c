/**
 * The KV rows of a decoder as the importer writes it: key and value of each layer in one buffer that is both past
 * and present, so a step appends in place. Everything ORT needs is built once per row count and reused.
 */

import type { KvRows, Steering } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import type { Device } from './devices/device.ts';
import { present, StoredRows, type KvTensors } from './kv/store.ts';
import type { Bound, Ort, OrtSession, Tensor } from './ort/ort.ts';
import { checkTokens, lastPlaces, paddedInputs, piecesOf, type Place } from './padded.ts';
import type { Shape } from './shape.ts';
import { RowSteering, steeringOf } from './steering.ts';

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

/** A session and what its tensors look like. */
export interface OrtModel {
  readonly device: Device;
  readonly session: OrtSession;
  readonly shape: Shape;
  readonly output: Output;
  /** Width of the input `steering`; 0: there is none. */
  readonly steered: number;
}

export class OrtRows extends StoredRows implements KvRows {
  readonly #model: OrtModel;
  readonly #ort: Ort;
  readonly #shape: Shape;
  readonly #session: OrtSession;
  readonly #output: Output;
  /** Tokens of a row that one run may read. */
  readonly #widest: number;

  readonly #ids: BigInt64Array;
  readonly #past: Int32Array;
  readonly #total = new Int32Array(1);
  /** A step reads every row out: 0, 1, 2, ... */
  readonly #places: BigInt64Array;
  readonly #logits: Float32Array;
  readonly #prefillLogits: Float32Array;
  readonly #steering: RowSteering;
  readonly #steps: (Step | undefined)[] = [];
  readonly #owned: Tensor[] = [];

  constructor(
    model: OrtModel,
    { rows, length }: { readonly rows: number; readonly length: number },
  ) {
    const { device, session, shape, output } = model;
    super(device.store(shape, rows, length));
    this.#model = model;
    [this.#ort, this.#session, this.#output, this.#shape] = [device.ort, session, output, shape];
    this.#widest = device.widest(shape);
    this.#ids = new BigInt64Array(rows);
    this.#past = new Int32Array(rows);
    this.#places = BigInt64Array.from({ length: rows }, (_, row) => BigInt(row));
    this.#logits = new Float32Array(rows * output.width);
    this.#prefillLogits = new Float32Array(rows * output.width);
    this.#steering = new RowSteering(model.steered, rows);
  }

  step(
    n: number,
    tokens: Int32Array,
    lengths: Int32Array,
    steering?: readonly Steering[],
  ): Float32Array {
    let longest = 0;
    checkTokens(tokens, n, this.#shape);
    for (let i = 0; i < n; i++) {
      this.#ids[i] = BigInt(tokens[i]!);
      this.#past[i] = lengths[i]!;
      longest = Math.max(longest, lengths[i]!);
    }
    this.#checkEnd(longest + 1);
    this.#total[0] = longest + 1;
    this.#steering.set(n, steering);
    const step = (this.#steps[n] ??= this.#buildStep(n));
    step.run.run();
    return step.logits;
  }

  prefill(row: number, tokens: readonly Token[], from: number, steering?: Steering): Float32Array {
    const logits = this.#prefillLogits.subarray(0, this.#output.width);
    this.#readPieces(row, tokens, from, logits, steering);
    return logits;
  }

  prefillBatch(
    first: number,
    prompts: readonly (readonly Token[])[],
    steering: readonly Steering[] = [],
  ): Float32Array {
    const { width } = this.#output;
    const logits = this.#prefillLogits.subarray(0, prompts.length * width);
    const part = (at: number, n: number): Float32Array =>
      logits.subarray(at * width, (at + n) * width);
    if (prompts.some(({ length }) => length > this.#widest)) {
      prompts.forEach((prompt, i) =>
        this.#readPieces(first + i, prompt, 0, part(i, 1), steering[i]),
      );
      return logits;
    }
    const most = first === 0 ? prompts.length : this.kv.most;
    for (let at = 0; at < prompts.length; at += most) {
      const some = prompts.slice(at, at + most);
      const by = steering.slice(at, at + most);
      this.#read(first + at, some, 0, lastPlaces(some), part(at, some.length), by);
    }
    return logits;
  }

  prefillAll(
    row: number,
    tokens: readonly Token[],
    from: number,
    steering: Steering = null,
  ): Float32Array {
    const { width } = this.#output;
    const logits = new Float32Array(tokens.length * width);
    let at = 0;
    for (const size of piecesOf(tokens.length, this.#widest)) {
      const places = Array.from({ length: size }, (_, i): Place => [0, i]);
      const said = logits.subarray(at * width, (at + size) * width);
      this.#read(row, [tokens.slice(at, at + size)], from + at, places, said, [steering]);
      at += size;
    }
    return logits;
  }

  /** Reads a text into row 0, and writes what the model says after its token `position` to place `to` of `out`. */
  readOut(
    text: readonly Token[],
    wanted: readonly { readonly position: number; readonly to: number }[],
    out: Float32Array,
  ): void {
    const { width } = this.#output;
    let at = 0;
    for (const size of piecesOf(text.length, this.#widest)) {
      const here = wanted.filter(({ position }) => position >= at && position < at + size);
      const places = here.map(({ position }): Place => [0, position - at]);
      const said = new Float32Array(places.length * width);
      this.#read(0, [text.slice(at, at + size)], at, places, said);
      here.forEach(({ to }, i) => out.set(said.subarray(i * width, (i + 1) * width), to * width));
      at += size;
    }
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
    this.kv[Symbol.dispose]();
  }

  #buildStep(n: number): Step {
    const logits = this.#logits.subarray(0, n * this.#output.width);
    const kv = this.kv.front(n);
    const own = (tensor: Tensor): Tensor => (this.#owned.push(tensor), tensor);
    const steer = this.#steering.inputs(this.#ort, n);
    this.#owned.push(...Object.values(steer));
    const inputs = {
      ...steer,
      input_ids: own(this.#ort.tensor('int64', [n, 1], this.#ids.subarray(0, n))),
      seqlens_k: own(this.#ort.tensor('int32', [n], this.#past.subarray(0, n))),
      total_sequence_length: own(this.#ort.tensor('int32', [], this.#total)),
      read_index: own(this.#ort.tensor('int64', [n], this.#places.subarray(0, n))),
    };
    const out = own(this.#ort.tensor('float32', this.#output.dims(n), logits));
    return { run: this.#bind(inputs, kv, out), logits };
  }

  /** Reads tokens on in a row; the last one's logits, [width]. */
  #readPieces(
    row: number,
    tokens: readonly Token[],
    from: number,
    logits: Float32Array,
    steering: Steering = null,
  ): void {
    let at = 0;
    for (const size of piecesOf(tokens.length, this.#widest)) {
      const piece = tokens.slice(at, at + size);
      this.#read(row, [piece], from + at, [[0, size - 1]], logits, [steering]);
      at += size;
    }
  }

  /** One run over right-padded prompts, into the rows from `first` on; one prompt may start at `from`. Fills `logits`, [places, width]. */
  #read(
    first: number,
    prompts: readonly (readonly Token[])[],
    from: number,
    places: readonly Place[],
    logits: Float32Array,
    steering?: readonly Steering[],
  ): void {
    for (const prompt of prompts) checkTokens(prompt, prompt.length, this.#shape);
    this.#checkEnd(from + prompts.reduce((longest, prompt) => Math.max(longest, prompt.length), 0));
    const inputs = {
      ...paddedInputs(this.#ort, prompts, places, { from }),
      ...steeringOf(this.#ort, this.#model.steered, prompts.length, steering),
    };
    const out = this.#ort.tensor('float32', this.#output.dims(places.length), logits);
    try {
      this.kv.lend(first, prompts.length, from, (kv) => this.#bind(inputs, kv, out).run());
    } finally {
      for (const tensor of [...Object.values(inputs), out]) tensor[Symbol.dispose]();
    }
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
