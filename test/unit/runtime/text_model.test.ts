import { expect, test } from 'vitest';
import type { AskedText } from '../../../src/core/model.ts';
import { decoder, TALES, talesCodec, tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { Reference } from '../importer/reference.ts';
import { randomCheckpoint, tokens } from '../importer/checkpoint.ts';
import { loadDecoder } from '../../../src/runtime/decoder.ts';
import { cpu } from '../../../src/runtime/devices/device.ts';
import { importModel } from '../../../src/importer/import.ts';
import { temporaryFolder } from '../importer/checkpoint.ts';
import { join } from 'node:path';

testOrt(2);

/** Every token of a text after its first `from`. */
const continuation = (text: readonly number[], from: number): AskedText => ({
  tokens: text,
  picks: text.slice(from).map((token, i) => ({ after: from + i - 1, token })),
});

test('log-probs are those of the definition, over the tokenizer’s tokens only', () => {
  const checkpoint = randomCheckpoint();
  const to = join(temporaryFolder(), 'tiny');
  importModel({ from: checkpoint.folder, to, role: 'policy', weights: 'float32', created: 0 });
  const vocab = 300; // shorter than the logits are wide
  const model = closing(closing(loadDecoder(cpu(testOrt()), to, 'tiny')).texts(vocab));
  const text = tokens(20).map((token) => token % vocab);
  const reference = new Reference(checkpoint.source).logits(text);
  const [found] = model.logProbs([continuation(text, 5)]);
  found!.forEach((logProb, i) => {
    const logits = reference[4 + i]!.slice(0, vocab);
    const logZ = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
    expect(logProb).toBeCloseTo(logits[text[5 + i]!]! - logZ, 4);
  });
});

test.each(['tales', 'tiny int8', 'tiny float32'])(
  '%s: what is said of a text has the same bits alone and in any batch',
  (kind) => {
    const folder =
      kind === 'tales' ? TALES : tinyFolder({}, kind === 'tiny int8' ? 'int8' : 'float32');
    const model = closing(decoder(folder).texts(300));
    const texts = [40, 3, 2, 77, 40, 18, 1].map((length, seed) => {
      const text = tokens(length, seed).map((token) => token % 300);
      return length === 1
        ? { tokens: text, picks: [{ after: 0, token: 9 }] }
        : continuation(text, Math.ceil(length / 2));
    });
    const together = model.logProbs(texts);
    texts.forEach((text, i) => {
      expect(model.logProbs([text])[0], `text ${i}`).toEqual(together[i]);
      const mates = texts.slice(i % 3).filter((other) => other !== text);
      const among = model.logProbs([...mates, text, text]);
      expect(among.at(-1), `text ${i} among others`).toEqual(together[i]);
      expect(among.at(-2), `text ${i} among others`).toEqual(together[i]);
    });
  },
);

test('one position may be asked about several tokens, and a text about none', () => {
  const model = closing(decoder(TALES).texts(talesCodec().vocabulary.size));
  const text = talesCodec().prompt('Once upon a time, there was a');
  const after = text.length - 1;
  const all = Array.from({ length: talesCodec().vocabulary.size }, (_, token) => ({
    after,
    token,
  }));
  const [none, law] = model.logProbs([
    { tokens: text, picks: [] },
    { tokens: text, picks: all },
  ]);
  expect(none).toHaveLength(0);
  expect(law!.reduce((sum, x) => sum + Math.exp(x), 0)).toBeCloseTo(1, 5);
  using row = decoder(TALES).open(1, 64);
  const logits = row.prefill(0, text, 0);
  const logZ = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  all.forEach(({ token }) => expect(law![token]).toBeCloseTo(logits[token]! - logZ, 4));
  expect(model.logProbs([{ tokens: text, picks: [] }])).toEqual([new Float32Array()]);
});
