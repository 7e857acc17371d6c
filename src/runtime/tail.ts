/**
 * The tail: every lane's logits in, one law per row out (GenARM, METHODS.md 0 and 1), as a small ONNX graph.
 *   log p_k = log-softmax of lane k over the vocabulary, without the banned tokens for the policy
 *   combined = sum_k w_k * max(log p_k, FLOOR), and -inf wherever the policy has it
 * or, where a tail cuts, wherever log p_0 < max log p_0 + cut (contrastive decoding's plausible tokens, METHODS.md 2),
 * with its log-sum-exp, its likeliest tokens, KL(pi || p) and the entropy of p. Same arithmetic in JS is six times slower.
 */

import type { Mixed, Reals, RowTerms, Tail, Tails, TailShape } from '../core/model.ts';
import { graph, type GraphBuilder, type Value } from './onnx/graph.ts';
import type { Bound, Ort, OrtSession, Tensor } from './ort/ort.ts';

/** Keeps weight * log q finite: a negative weight on -inf must not become a certainty. */
const FLOOR = -1e4;

type Precision = 'float32' | 'float64';

interface TailOptions {
  readonly vocab: number;
  /** Token ids that the policy never draws. */
  readonly banned: readonly number[];
  /** Most rows of one run. */
  readonly rows: number;
  /** float64 is for tests. */
  readonly precision?: Precision;
}

/**
 * Builds tails on demand and keeps them until it is closed: one per shape. Their laws are in the same memory: of 64 rows over
 * 128,000 tokens each would take 33 MB.
 */
export function tailsOf(ort: Ort, options: TailOptions): Tails & Disposable {
  const { rows, vocab, precision = 'float32' } = options;
  const laws = realsOf(precision, rows * vocab);
  const built = new Map<string, OrtTail>();
  const tails: Tails = (shape) => {
    const key = `${shape.widths.join()} ${shape.tempered} ${shape.cutting} ${shape.top}`;
    let tail = built.get(key);
    if (tail === undefined) built.set(key, (tail = new OrtTail(ort, options, shape, laws)));
    return tail;
  };
  const close = (): void => {
    for (const tail of built.values()) tail[Symbol.dispose]();
    built.clear();
  };
  return Object.assign(tails, { [Symbol.dispose]: close });
}

/** Whether the law may be another than the policy's: then it is normalised, and its divergence told. */
const bends = ({ widths, cutting }: TailShape): boolean => widths.length > 1 || cutting;

/** The graph of a tail. Inputs lane0.., weights [rows, lanes], inverse_temperature [rows, 1], cut [rows, 1]. */
function tailGraph(options: TailOptions, shape: TailShape): Uint8Array {
  const { vocab, precision = 'float32' } = options;
  const { widths, tempered, cutting, top } = shape;
  const g = graph('tail');
  const k = Math.min(top, vocab);
  const emit = (name: string, value: Value, columns: number): Value =>
    g.output(name, value, precision, ['rows', columns]);

  const logps = widths.map((width, lane) => {
    const x = sliced(g, g.input(`lane${lane}`, precision, ['rows', width]), width, vocab);
    const [logp, norm] = normalised(g, lane === 0 ? banning(g, x, options) : x);
    emit(`norm${lane}`, norm, 1);
    return logp;
  });
  const base = logps[0]!;
  const floored = floor(g, base, precision);
  emit('entropy', g.node('Neg', [dot(g, g.node('Exp', [base]), floored)]), 1);

  let combined = base;
  if (bends(shape)) {
    const terms = logps.map((logp, lane) => (lane === 0 ? floored : floor(g, logp, precision)));
    const finite = widths.length > 1 ? weighted(g, terms, precision) : floored;
    const support = (cutting ? plausible : possible)(g, base, precision);
    combined = g.node('Add', [finite, support]); // last, so that -inf cannot meet a weight of 0
    const [logPi, logZ] = normalised(g, combined);
    const gain = g.node('Sub', [g.node('Sub', [finite, emit('log_z', logZ, 1)]), floored]);
    emit('kl', dot(g, g.node('Exp', [logPi]), gain), 1);
  }
  if (tempered) {
    const inverse = g.input('inverse_temperature', precision, ['rows', 1]);
    emit('log_z_tempered', normalised(g, g.node('Mul', [combined, inverse]))[1], 1);
  }
  const [values, ids] = g.nodes('TopK', [combined, g.ints(k)], ['values', 'ids'], { axis: 1 });
  emit('top_values', values, k);
  g.output('top_tokens', ids, 'int64', ['rows', k]);
  emit('combined', combined, vocab);
  return g.bytes();
}

/** sum_k weight_k * term_k, row by row. */
function weighted(g: GraphBuilder, terms: readonly Value[], precision: Precision): Value {
  const weights = g.nodes(
    'Split',
    [g.input('weights', precision, ['rows', terms.length])],
    terms.map((_, lane) => `weight${lane}`),
    { axis: 1, num_outputs: terms.length },
  );
  return terms
    .map((term, lane) => g.node('Mul', [weights[lane]!, term]))
    .reduce((sum, term) => g.node('Add', [sum, term]));
}

/** 0 where a token may be drawn, -inf where the policy has it. */
const possible = (g: GraphBuilder, logp: Value, precision: Precision): Value =>
  g.node('Min', [g.node('Sub', [logp, g.scalar(FLOOR, precision)]), g.scalar(0, precision)]);

/** 0 where log p is at most so far below the largest, -inf elsewhere, and so where it is -inf itself. */
function plausible(g: GraphBuilder, logp: Value, precision: Precision): Value {
  const least = g.node('Add', [max(g, logp), g.input('cut', precision, ['rows', 1])]);
  const out = g.node('Less', [logp, least]);
  return g.node('Where', [out, g.scalar(-Infinity, precision), g.scalar(0, precision)]);
}

const max = (g: GraphBuilder, x: Value): Value =>
  g.node('ReduceMax', [x, g.ints(1)], { keepdims: 1 });

const floor = (g: GraphBuilder, x: Value, precision: Precision): Value =>
  g.node('Max', [x, g.scalar(FLOOR, precision)]);

/** x less its log-sum-exp, and the log-sum-exp: six times faster than ReduceLogSumExp (docs/log.md). */
function normalised(g: GraphBuilder, x: Value): [logp: Value, logSumExp: Value] {
  const logp = g.node('LogSoftmax', [x], { axis: 1 });
  return [logp, g.node('Sub', [max(g, x), max(g, logp)])];
}

const dot = (g: GraphBuilder, a: Value, b: Value): Value =>
  g.node('ReduceSum', [g.node('Mul', [a, b]), g.ints(1)], { keepdims: 1 });

/** Columns past the tokenizer's length are padding and would absorb mass. */
const sliced = (g: GraphBuilder, x: Value, width: number, vocab: number): Value =>
  width === vocab ? x : g.node('Slice', [x, g.ints(0), g.ints(vocab), g.ints(1)]);

function banning(g: GraphBuilder, x: Value, options: TailOptions): Value {
  const { vocab, banned, precision } = options;
  const mask = precision === 'float64' ? new Float64Array(vocab) : new Float32Array(vocab);
  for (const token of banned) mask[token] = -Infinity;
  return g.node('Add', [x, g.initializer('banned', [1, vocab], mask)]);
}

const realsOf = (precision: Precision, n: number): Reals =>
  precision === 'float32' ? new Float32Array(n) : new Float64Array(n);

class OrtTail implements Tail, Disposable {
  readonly #ort: Ort;
  readonly #session: OrtSession;
  readonly #precision: Precision;
  readonly #shape: TailShape;
  readonly #out: Mixed & { readonly tokens64: BigInt64Array };
  readonly #weights: Reals;
  readonly #inverse: Reals;
  readonly #cuts: Reals;
  /** Per row count: inputs as last given, and the run bound to them. */
  readonly #bound = new Map<number, { lanes: readonly Reals[]; run: Bound }[]>();
  readonly #inputs = new Map<Reals, Tensor>();
  readonly #owned: Tensor[] = [];

  /** @param laws [rows, vocab], which runs write to */
  constructor(ort: Ort, options: TailOptions, shape: TailShape, laws: Reals) {
    this.#ort = ort;
    this.#session = ort.session(tailGraph(options, shape));
    const { widths, tempered, top } = shape;
    const { rows, vocab, precision = 'float32' } = options;
    [this.#precision, this.#shape] = [precision, shape];
    const reals = (n: number): Reals => realsOf(precision, n);
    const k = Math.min(top, vocab);
    const tokens64 = new BigInt64Array(rows * k);
    const logZ = reals(rows); // stays 0 when nothing guides
    this.#weights = reals(rows * widths.length);
    [this.#inverse, this.#cuts] = [reals(rows), reals(rows)];
    this.#out = {
      combined: laws,
      vocab,
      topValues: reals(rows * k),
      topTokens: new Int32Array(tokens64.buffer),
      tokens64,
      k,
      logZ,
      logZTempered: tempered ? reals(rows) : logZ,
      norms: widths.map(() => reals(rows)),
      kl: reals(rows),
      entropy: reals(rows),
    };
  }

  mix(rows: number, lanes: readonly Reals[], { weights, inverse, cuts }: RowTerms): Mixed {
    const { widths, tempered, cutting } = this.#shape;
    if (widths.length > 1) this.#weights.set(weights.subarray(0, rows * widths.length));
    if (tempered) this.#inverse.set(inverse.subarray(0, rows));
    if (cutting) this.#cuts.set(cuts.subarray(0, rows));
    this.#bind(rows, lanes).run();
    return this.#out;
  }

  [Symbol.dispose](): void {
    for (const tensor of this.#owned) tensor[Symbol.dispose]();
    this.#session[Symbol.dispose]();
  }

  #bind(rows: number, lanes: readonly Reals[]): Bound {
    let bounds = this.#bound.get(rows);
    if (bounds === undefined) this.#bound.set(rows, (bounds = []));
    const known = bounds.find((b) => b.lanes.every((lane, i) => lane === lanes[i]));
    if (known !== undefined) return known.run;
    const { widths, tempered, cutting } = this.#shape;
    const inputs: Record<string, Tensor> = {};
    lanes.forEach((lane, i) => (inputs[`lane${i}`] = this.#input(lane, rows, widths[i]!)));
    if (lanes.length > 1) inputs['weights'] = this.#tensor(this.#weights, rows, lanes.length);
    if (tempered) inputs['inverse_temperature'] = this.#tensor(this.#inverse, rows, 1);
    if (cutting) inputs['cut'] = this.#tensor(this.#cuts, rows, 1);
    const run = this.#session.bind(inputs, this.#outputs(rows));
    bounds.push({ lanes: [...lanes], run });
    return run;
  }

  #outputs(rows: number): Record<string, Tensor> {
    const { combined, topValues, tokens64, k, logZ, logZTempered, norms, kl, entropy } = this.#out;
    const outputs: Record<string, Tensor> = {};
    norms.forEach((norm, i) => (outputs[`norm${i}`] = this.#tensor(norm, rows, 1)));
    outputs['entropy'] = this.#tensor(entropy, rows, 1);
    if (bends(this.#shape)) {
      outputs['log_z'] = this.#tensor(logZ, rows, 1);
      outputs['kl'] = this.#tensor(kl, rows, 1);
    }
    if (this.#shape.tempered) outputs['log_z_tempered'] = this.#tensor(logZTempered, rows, 1);
    outputs['top_values'] = this.#tensor(topValues, rows, k);
    const ids = this.#ort.tensor('int64', [rows, k], tokens64.subarray(0, rows * k));
    this.#owned.push((outputs['top_tokens'] = ids));
    outputs['combined'] = this.#tensor(combined, rows, combined.length / logZ.length);
    return outputs;
  }

  #input(lane: Reals, rows: number, width: number): Tensor {
    let tensor = this.#inputs.get(lane);
    if (tensor === undefined) this.#inputs.set(lane, (tensor = this.#tensor(lane, rows, width)));
    return tensor;
  }

  #tensor(data: Reals, rows: number, columns: number): Tensor {
    const values = data.subarray(0, rows * columns);
    const tensor = this.#ort.tensor(this.#precision, [rows, columns], values);
    this.#owned.push(tensor);
    return tensor;
  }
}
