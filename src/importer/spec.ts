/**
 * A decoder, described: what the config.json of a family says, in one vocabulary. The graph is built from this
 * alone, so a family is one function from its config to a Spec, and knows nothing of graphs.
 */

export interface Spec {
  /** What people call it: Llama, Gemma 2. */
  readonly family: string;
  /** The first part of the body's tensor names, which files saved without a head leave out. */
  readonly prefix: string;
  readonly vocab: number;
  /** Width of the residual stream. */
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Longest sequence, in tokens. */
  readonly context: number;
  readonly embedding: Embedding;
  readonly norm: Norm;
  readonly attention: Attention;
  readonly ffn: FeedForward;
  /** Attention and feed-forward read the same state and are added to it together, or one after the other. */
  readonly residual: 'sequential' | 'parallel';
  readonly ropes: readonly Rope[];
  readonly layers: readonly Layer[];
  /** Tensors of the last norm: NAME.weight, and NAME.bias in a layer norm. */
  readonly finalNorm: string;
  readonly head: Head;
  /** Tensors that published files hold beside the weights: masks, frequencies, a tied projection stored twice. */
  readonly redundant: RegExp;
}

interface Embedding {
  /** Tensor [vocab, hidden]. */
  readonly tensor: string;
  readonly scale: number;
  /** Learned positions: a tensor [rows, hidden], one row for each position, that is added. */
  readonly positions: { readonly tensor: string; readonly rows: number } | null;
}

export interface Norm {
  /** rms: x / rms(x) * gain. layer: (x - mean) / std * gain + bias. */
  readonly kind: 'rms' | 'layer';
  readonly epsilon: number;
  /** What is added to the stored gain: Gemma stores it less one. */
  readonly offset: 0 | 1;
  /** Default: a layer norm has one. */
  readonly bias?: boolean;
}

export interface Attention {
  /** Scores are q . k * scale. */
  readonly scale: number;
  /** Scores become cap * tanh(score / cap); 0: they stay. */
  readonly softcap: number;
  /** Queries and keys are normalised: not at all, each head by itself, or all heads together. */
  readonly queryNorm: 'none' | 'head' | 'all';
}

/** gelu: with erf. gelu_tanh: its approximation. */
export type Activation = 'silu' | 'gelu' | 'gelu_tanh' | 'relu' | 'tanh';

export interface FeedForward {
  readonly width: number;
  readonly activation: Activation;
}

/** Rotary positions on the halves of the first `2 * frequencies.length` dims of a head. */
export interface Rope {
  readonly name: string;
  /** Radians per position. */
  readonly frequencies: readonly number[];
  /** Both cos and sin are multiplied with it. */
  readonly magnitude: number;
}

/** One block. Norms are tensors as in `finalNorm`; null: there is none at that place. */
export interface Layer {
  readonly attentionNorm: string | null;
  readonly attentionOutNorm: string | null;
  readonly ffnNorm: string | null;
  readonly ffnOutNorm: string | null;
  /** Queries, keys and values, in this order. */
  readonly qkv: Linear;
  readonly queryNorm: string;
  readonly keyNorm: string;
  /** The node's name in the graph. */
  readonly name: string;
  readonly out: Linear;
  /** down(act(gate) * up), or down(act(up)) without a gate. */
  readonly gate: Linear | null;
  readonly up: Linear;
  readonly down: Linear;
  /** A token sees this many tokens, itself included; null: all before it. */
  readonly window: number | null;
  /** null: no rotary positions in this layer. */
  readonly rope: Rope | null;
}

/** A stored linear layer: NAME.weight [rows, inputs], NAME.bias [rows]. */
export interface Part {
  readonly name: string;
  readonly rows: number;
  /** The rows that are wanted, as [first, count], in the order wanted; default: all. */
  readonly ranges?: readonly (readonly [number, number])[];
}

/** Parts one below the other, as one layer. */
export interface Linear {
  readonly parts: readonly Part[];
  readonly inputs: number;
  readonly bias: boolean;
  /** Stored as [inputs, rows]: GPT-2. */
  readonly turned?: boolean;
  /** Stored as [rows, inputs / taps, taps]: a convolution over so many neighbours. */
  readonly taps?: number;
}

export type Head =
  | {
      readonly kind: 'language';
      /** Tensor [vocab, hidden]: the embedding's where it is tied. */
      readonly tensor: string;
      /** Logits become cap * tanh(logit / cap); 0: they stay. */
      readonly softcap: number;
    }
  | {
      /** One number: what is read times the tensor NAME.weight [1, width], plus NAME.bias [1] if there is one. */
      readonly kind: 'scalar';
      readonly name: string;
      readonly bias: boolean;
      /** The score is the number's sigmoid. */
      readonly probability: boolean;
      /** What is read; null: the last token's state. */
      readonly evidence: Evidence | null;
    };

/** A digest of how an answer went, made of its tokens' states and log-probs: evidence.ts. The projection is tied. */
export interface Evidence {
  /** Its tensors are NAME.state, NAME.surprise and NAME.mix. */
  readonly name: string;
  /** What is made of each token, and summed. */
  readonly width: number;
  /** What is made of the sum and the last token. */
  readonly inner: number;
  /** The token that begins the answer. */
  readonly opens: number;
}
