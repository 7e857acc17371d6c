/** The pack's verifiers sum over a text: what else is read in the same run does not show. */

import { expect, test } from 'vitest';
import { lastPlaces, readWhole } from '../../../src/runtime/padded.ts';
import { shapeOf } from '../../../src/runtime/shape.ts';
import { loadCodec } from '../../../src/runtime/text/tokenizer.ts';
import { TALES } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { arithProblems } from '../../support/arith.ts';

test.each(['arith-value', 'arith-outcome'])('%s: any batch leaves its bits', (name) => {
  const folder = TALES.replace(/tales$/, name);
  const [ort, shape, codec] = [testOrt(), shapeOf(folder), loadCodec(folder)];
  const model = closing(ort.session(`${folder}/model.onnx`));
  const read = (texts: readonly (readonly number[])[]): Float32Array => {
    const values = new Float32Array(texts.length);
    using score = ort.tensor('float32', [texts.length], values);
    readWhole(ort, model, shape, texts, lastPlaces(texts), { score });
    return values;
  };
  const texts = arithProblems()
    .slice(0, 12)
    .flatMap(({ prompt, steps, answer }) => {
      const whole = codec.encode(`${prompt}\n${steps.join('\n')}\nAnswer ${answer}`);
      return [whole.slice(0, -9), whole.slice(0, -20), whole];
    });
  const alone = texts.map((text) => read([text])[0]!);
  for (const size of [2, 7, 16, texts.length])
    for (let i = 0; i < texts.length; i += size)
      expect([...read(texts.slice(i, i + size))]).toEqual(alone.slice(i, i + size));
});
