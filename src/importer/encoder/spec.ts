/**
 * An encoder with a classification head, described: what the config.json of a family says, in one vocabulary.
 * As with decoders, a family is one function from its config to this, and knows nothing of graphs.
 */

import type { Says } from '../../runtime/exports/labels.ts';
import type { Activation, FeedForward, Linear, Norm, Rope } from '../spec.ts';

export interface EncoderSpec {
  /** What people call it: BERT, DeBERTa v2. */
  readonly family: string;
  readonly vocab: number;
  /** Width of the residual stream. */
  readonly hidden: number;
  readonly heads: number;
  readonly headDim: number;
  /** Longest sequence, in tokens. */
  readonly context: number;
  readonly embedding: EncoderEmbedding;
  readonly norm: Norm;
  readonly ffn: FeedForward;
  /** Norms stand after each sum (BERT), or before attention and feed-forward and after the last layer (ModernBERT). */
  readonly norms: 'after' | 'before';
  readonly ropes: readonly Rope[];
  readonly relative: Relative | null;
  readonly layers: readonly EncoderLayer[];
  /** Beside the first layer (DeBERTa v2 xlarge); null: there is none. */
  readonly convolution: Convolution | null;
  /** null: there is none. */
  readonly finalNorm: string | null;
  readonly head: ClassificationHead;
  /** Tensors that published files hold beside the weights. */
  readonly redundant: RegExp;
}

/** The sum of what is looked up, projected to the width of the model where it is narrower, and normalised. */
interface EncoderEmbedding {
  /** Tensor [vocab, width]. */
  readonly tensor: string;
  readonly width: number;
  /** Learned positions [rows, width]; the first token is at row `first`. */
  readonly positions: {
    readonly tensor: string;
    readonly rows: number;
    readonly first: number;
  } | null;
  /** Which of two texts a token belongs to: [rows, width]. */
  readonly types: { readonly tensor: string; readonly rows: number } | null;
  readonly projection: Linear | null;
  readonly norm: string;
}

/** Disentangled attention (He et al. 2021): a learned vector for each distance between two tokens, shared by all layers. */
export interface Relative {
  /** Tensor [rows, hidden]. */
  readonly tensor: string;
  readonly rows: number;
  readonly norm: string | null;
  /** The row for a query that is `distance` tokens after its key; it never falls as distances grow. */
  readonly rowOf: (distance: number) => number;
}

export interface EncoderLayer {
  readonly attentionNorm: string | null;
  readonly ffnNorm: string;
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  /** What makes keys of distances, for queries to meet (content to position); null: they do not. May be `key` itself. */
  readonly positionKey: Linear | null;
  /** What makes queries of distances, for keys to meet (position to content); null: they do not. May be `query` itself. */
  readonly positionQuery: Linear | null;
  readonly out: Linear;
  readonly gate: Linear | null;
  readonly up: Linear;
  readonly down: Linear;
  /** A token sees those up to so many tokens away, on both sides; null: all. */
  readonly window: number | null;
  readonly rope: Rope | null;
}

/** norm(what the first layer gives + act(conv(embeddings))), the convolution over `taps` neighbours, padded with zeros. */
export interface Convolution {
  readonly taps: number;
  /** Of taps * hidden inputs. */
  readonly linear: Linear;
  readonly activation: Activation;
  readonly norm: string;
}

/** logits = out(norm(act(dense(pooled)))), of which one becomes the score. */
export interface ClassificationHead {
  /** The state of the first token, or the mean of all. */
  readonly pooling: 'first' | 'mean';
  readonly dense: Linear;
  readonly activation: Activation;
  readonly norm: string | null;
  /** NAME.weight [labels, hidden] and NAME.bias [labels]. */
  readonly name: string;
  readonly labels: readonly string[];
  /** Index of the label whose logit is read. */
  readonly label: number;
  readonly says: Says;
}
