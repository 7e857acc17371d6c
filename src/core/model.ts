/** What the engine decodes with: models that own KV rows, and the tail that turns their logits into one law. */

import type { Token } from './tree.ts';

/** The id-to-text side of a vocabulary. */
export interface Vocabulary {
  readonly size: number;
  /** UTF-8 bytes of a token; empty for special tokens. Half a character is possible. */
  bytes(token: Token): Uint8Array;
  /** As tokenizer.json spells it; special tokens by name. */
  piece(token: Token): string;
  /** Tokens that end an answer. */
  readonly ends: ReadonlySet<Token>;
  /** Tokens that are never drawn. */
  readonly banned: readonly Token[];
}

/** A decoder-only model. */
export interface LanguageModel {
  readonly name: string;
  /** Numbers per row: logits of the vocabulary, the padding of the weights if there is any, and states if they are told. */
  readonly width: number;
  /** Where a row tells the states of the model's layers; null or left out: it does not. */
  readonly states?: StateColumns | null;
  /** Longest sequence it can read. */
  readonly context: number;
  /** Bytes of KV per position. */
  readonly kvBytes: number;
  /** KV for `rows` sequences of up to `length` tokens. */
  open(rows: number, length: number): KvRows;
}

/** Columns of a row: the states of each layer, one after another. */
export interface StateColumns {
  readonly from: number;
  /** What enters the first layer counts as one. */
  readonly layers: number;
  readonly width: number;
}

/** A model with a scalar head. It may keep what it read of a sequence's beginning, which no score shows. */
export interface ScoreModel {
  readonly name: string;
  /** Longest sequence it can read. */
  readonly context: number;
  /** How many tokens of a row it would have to read now. */
  missing(row: readonly Token[]): number;
  /** Reads up to `tokens` of what is missing at a row's beginning, and keeps it. Returns false, with nothing done, where it keeps nothing. */
  readOn(row: readonly Token[], tokens: number): boolean;
  /** One run over rows of 1 to `context` tokens each; a row's score does not depend on the others. */
  score(rows: readonly (readonly Token[])[]): Float32Array;
}

/** A model whose states others judge by: a `ScoreModel` but for the score. */
export interface StateModel extends Omit<ScoreModel, 'score'> {
  /** What `score` would read: the normalised states after each row's last token, [hidden] each. */
  states(rows: readonly (readonly Token[])[]): readonly Float32Array[];
}

/** A decoder asked about texts that are written already (teacher forcing). It keeps nothing. */
export interface TextModel {
  readonly name: string;
  /** Longest sequence it can read. */
  readonly context: number;
  /**
   * One run over texts of 1 to `context` tokens each. Returns log p of each text's picks, in nats, over its own
   * vocabulary; what it says of a text does not depend on the others.
   */
  logProbs(texts: readonly AskedText[]): readonly Float32Array[];
}

export interface AskedText {
  readonly tokens: readonly Token[];
  readonly picks: readonly PickedToken[];
}

/** A token that may follow position `after` of a text. */
export interface PickedToken {
  readonly after: number;
  readonly token: Token;
}

/** A block of positions copied out of a row. */
export interface KvBlock {
  readonly length: number;
  readonly bytes: number;
}

/** What is added to all states of a row that leave one layer, [hidden] of the model; null: nothing. */
export type Steering = Float32Array | null;

/** KV rows of one length in one buffer. Rows, positions and token ids are trusted. Returned logits live until the next call. */
export interface KvRows extends Disposable {
  readonly rows: number;
  readonly length: number;
  /**
   * One token for each of the first `n` rows: tokens[i] goes to position lengths[i]. Returns [n, width].
   * @param steering by row; left out: no row is steered
   */
  step(
    n: number,
    tokens: Int32Array,
    lengths: Int32Array,
    steering?: readonly Steering[],
  ): Float32Array;
  /** Reads `tokens` into one row from position `from`. Returns the last position's logits, [width]. */
  prefill(row: number, tokens: readonly Token[], from: number, steering?: Steering): Float32Array;
  /**
   * As `prefill` of two tokens or more, and tells the logits after each of them: [tokens, width], in memory of its own. One
   * token alone would be a step.
   */
  prefillAll(
    row: number,
    tokens: readonly Token[],
    from: number,
    steering?: Steering,
  ): Float32Array;
  /** First prefill of the rows `first`, `first + 1`, ... with prompts of any lengths. Returns [prompts, width]. */
  prefillBatch(
    first: number,
    prompts: readonly (readonly Token[])[],
    steering?: readonly Steering[],
  ): Float32Array;
  /** Copies the first `length` positions of a row over another. */
  copy(from: number, to: number, length: number): void;
  /** Exchanges two rows that hold `a` and `b` positions. */
  swap(rowA: number, rowB: number, a: number, b: number): void;
  save(row: number, length: number): KvBlock;
  /** Writes the first `length` positions of a block into a row. */
  load(row: number, block: KvBlock, length: number): void;
}

/** Logits are float32; float64 exists so that tests can hold the arithmetic to 1e-9. */
export type Reals = Float32Array | Float64Array;

/** Rows of one run of a tail. Arrays are views, valid until the next run of any tail of the same `Tails`. */
export interface Mixed {
  /** sum_k weight_k * log p_k, unnormalised; [rows, vocab]. */
  readonly combined: Reals;
  readonly vocab: number;
  /** The `k` largest of `combined`, best first, lowest id on ties; [rows, k]. */
  readonly topValues: Reals;
  /** Their ids; little-endian int64 read as pairs of int32, so id i stands at 2 * i. */
  readonly topTokens: Int32Array;
  readonly k: number;
  /** log-sum-exp of `combined`; [rows]. */
  readonly logZ: Reals;
  /** log-sum-exp of `combined / temperature`; [rows]. */
  readonly logZTempered: Reals;
  /** log-sum-exp of each lane's logits; [lanes][rows]. */
  readonly norms: readonly Reals[];
  /** KL(pi || p) and the entropy of p, in nats; [rows]. */
  readonly kl: Reals;
  readonly entropy: Reals;
}

export interface Tail {
  /**
   * Combines `rows` rows, as many as the tail was made for at most.
   * @param lanes logits of the policy, then of each guide lane; [rows, width of the lane] each
   */
  mix(rows: number, lanes: readonly Reals[], by: RowTerms): Mixed;
}

/** What each row is mixed by. */
export interface RowTerms {
  /** [rows, lanes], the policy's first. */
  readonly weights: Reals;
  /** 1 / temperature; [rows]. Read by tempered tails only. */
  readonly inverse: Reals;
  /** Nats below the policy's likeliest token at which its tokens are left out, as negative numbers; [rows]. Read by cutting tails only. */
  readonly cuts: Reals;
}

/** What a tail is made for. */
export interface TailShape {
  /** Of its lanes' logits, the policy's first. */
  readonly widths: readonly number[];
  /** Rows have temperatures other than 0 and 1. */
  readonly tempered: boolean;
  /** Rows leave out what the policy finds implausible. */
  readonly cutting: boolean;
  /** How many of the likeliest tokens it lists; fewer where the vocabulary has fewer. */
  readonly top: number;
}

export type Tails = (shape: TailShape) => Tail;
