/**
 * Log-probs of tokens in texts that are written already: a decoder reads whole texts, is read out where it is asked,
 * and a small graph takes log-softmax and picks. In JS the vocabulary would have to be walked once a position.
 */

import type { AskedText, TextModel } from '../core/model.ts';
import type { Token } from '../core/tree.ts';
import { graph } from './onnx/graph.ts';
import type { HostTensor, Ort, OrtSession, Tensor } from './ort/ort.ts';
import type { Place } from './padded.ts';
import { rowWidth, type Shape } from './shape.ts';

interface TextModelOptions {
  readonly name: string;
  readonly shape: Shape;
  /** Length of the tokenizer: logits beyond are padding and would absorb mass. */
  readonly vocab: number;
  /** Reads texts and fills in what the model says of places, [places, width of a row]. */
  readonly read: (
    texts: readonly (readonly Token[])[],
    places: readonly Place[],
    logits: HostTensor,
  ) => void;
}

/** Disposing of it leaves the decoder's session open. */
export function textModel(ort: Ort, options: TextModelOptions): TextModel & Disposable {
  const { name, shape, vocab, read } = options;
  const width = rowWidth(shape);
  const picking = ort.session(pickGraph(width, vocab));
  return {
    name,
    context: shape.context,
    logProbs(texts) {
      const { places, picks } = placesOf(texts);
      const logProbs = new Float32Array(picks.length / 2);
      if (logProbs.length > 0) {
        const dims = [places.length, width];
        using logits = ort.tensor('float32', dims, new Float32Array(dims[0]! * dims[1]!));
        read(
          texts.map((text) => text.tokens),
          places,
          logits,
        );
        pick(ort, picking, logits, picks, logProbs);
      }
      let at = 0;
      return texts.map((text) => logProbs.subarray(at, (at += text.picks.length)));
    },
    [Symbol.dispose]: () => picking[Symbol.dispose](),
  };
}

/** Each position that is asked about once, and the picks as (index among them, token). */
function placesOf(texts: readonly AskedText[]): { places: Place[]; picks: BigInt64Array } {
  const places: Place[] = [];
  const picks: bigint[] = [];
  texts.forEach((text, row) => {
    const known = new Map<number, number>();
    for (const { after, token } of text.picks) {
      const place = known.get(after) ?? places.push([row, after]) - 1;
      known.set(after, place);
      picks.push(BigInt(place), BigInt(token));
    }
  });
  return { places, picks: BigInt64Array.from(picks) };
}

function pick(
  ort: Ort,
  session: OrtSession,
  logits: Tensor,
  picks: BigInt64Array,
  logProbs: Float32Array,
): void {
  using asked = ort.tensor('int64', [logProbs.length, 2], picks);
  using out = ort.tensor('float32', [logProbs.length], logProbs);
  session.bind({ logits, picks: asked }, { log_probs: out }).run();
}

/** logits [places, width], picks int64 [n, 2] of (place, token) to log_probs [n]. */
function pickGraph(width: number, vocab: number): Uint8Array {
  const g = graph('pick');
  const logits = g.input('logits', 'float32', ['places', width]);
  const picks = g.input('picks', 'int64', ['n', 2]);
  const own =
    width === vocab ? logits : g.node('Slice', [logits, g.ints(0), g.ints(vocab), g.ints(1)]);
  const logProbs = g.node('LogSoftmax', [own], { axis: 1 });
  g.output('log_probs', g.node('GatherND', [logProbs, picks]), 'float32', ['n']);
  return g.bytes();
}
