/** An encoder as it is served: imported, loaded, fed with pairs in its own words. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { importModel } from '../../../src/importer/import.ts';
import { readManifest } from '../../../src/ops/manifest.ts';
import { scalarHead } from '../../../src/rewards/scalar_head.ts';
import { loadEncoder } from '../../../src/runtime/encoder.ts';
import { cpu } from '../../../src/runtime/devices/device.ts';
import { loadPairCodec } from '../../../src/runtime/text/tokenizer.ts';
import { tinyFolder } from '../../fakes/models.ts';
import { closing, testOrt } from '../../fakes/ort.ts';
import { candidate } from '../../fakes/reward.ts';
import { sentencePieceBpe, wordPiece, type TokenizerFiles } from '../../fakes/tokenizers.ts';
import { bertConfig, bertLogits, bertShapes } from '../importer/encoders/bert_like.ts';
import { publish, type Config } from '../importer/families/published.ts';
import { idleTurns } from '../../fakes/turns.ts';

testOrt();

function published(config: Config = {}, files: TokenizerFiles = wordPiece()) {
  const long = { ...bertConfig, max_position_embeddings: 400, ...config };
  const made = publish(long, { ...bertShapes(1, 400) }, 3);
  const json = (name: string, value: unknown) =>
    writeFileSync(join(made.folder, name), JSON.stringify(value));
  json('tokenizer.json', files.tokenizer);
  json('tokenizer_config.json', files.config);
  return made;
}

const { folder: from, tensors } = published();
const to = join(from, 'imported');
importModel({ from, to, role: 'reward', weights: 'float32', created: 0 });

const PROMPT = 'The cat?';
const ANSWERS = ['the cat plays', 'a', '', 'playing [SEP] the [CLS] cat', 'the '.repeat(300)];

test('it is a reward like any other to the server', () => {
  expect(readManifest(to)).toMatchObject({ role: 'reward', head: 'scalar', layout: 'encoder' });
});

test('a prompt and an answer are read as a pair, with the score of the definition', async () => {
  const codec = loadPairCodec(to);
  const model = closing(loadEncoder(cpu(testOrt()), to, 'bert'));
  const reward = scalarHead({
    model,
    codec,
    reads: 'complete',
    runTokens: 256,
    turns: idleTurns(),
  });
  const readings = { bert: codec.prompt(PROMPT) };
  expect(codec.decode(codec.prompt(PROMPT), true)).toBe('[CLS] the cat? [SEP]');
  const batch = ANSWERS.map((text) => candidate(text, { readings }));
  const scores = await reward.score(batch);
  ANSWERS.forEach((text, i) => {
    const first = codec.prompt(PROMPT);
    const second = [...codec.encode(text), 3];
    const types = [...first.map(() => 0), ...second.map(() => 1)];
    const [expected] = bertLogits(tensors, { ids: [...first, ...second], types });
    expect(scores[i]!.value).toBeCloseTo(expected!, 4);
  });
  for (const [i, one] of batch.entries()) expect((await reward.score([one]))[0]).toEqual(scores[i]);
});

test('special-token text in an answer stays text, and ends no pair', () => {
  const codec = loadPairCodec(to);
  const tokens = codec.encode('a [SEP] [CLS] b');
  expect(tokens.filter((token) => token < 5 && token !== 1)).toEqual([]);
});

test('a chat is its contents, a line each', () => {
  const codec = loadPairCodec(to);
  const messages = [
    { role: 'user', content: 'the' },
    { role: 'assistant', content: 'cat' },
  ] as const;
  expect(codec.chat(messages)).toEqual(codec.prompt('the\ncat'));
});

test('what an encoder cannot be is refused with the reason', () => {
  const options = { from, to: `${to}-2`, created: 0 } as const;
  expect(() => importModel({ ...options, role: 'policy' })).toThrow(
    'is an encoder: its role can be reward, given policy',
  );
  const reward = { ...options, role: 'reward' } as const;
  expect(() => importModel({ ...reward, layout: 'genai' })).toThrow('--layout is for decoders');
  expect(() => importModel({ ...reward, adapters: ['x'] })).toThrow('--adapter is for decoders');
  const unpaired = published({}, sentencePieceBpe());
  expect(() => importModel({ ...reward, from: unpaired.folder })).toThrow(
    /tokenizer\.json: the post processor .* joins no two texts/,
  );
  const small = published({ vocab_size: 320 });
  const more = {
    ...wordPiece().tokenizer,
    added_tokens: [{ id: 320, content: 'x', special: true }],
  };
  writeFileSync(join(small.folder, 'tokenizer.json'), JSON.stringify(more));
  expect(() => importModel({ ...reward, from: small.folder })).toThrow(
    'tokenizer.json has token id 320; the model has 320 tokens',
  );
});

test('a graph of another kind is refused with its folder', () => {
  const folder = tinyFolder(); // a decoder
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(wordPiece().tokenizer));
  expect(() => loadEncoder(cpu(testOrt()), folder, 'x')).toThrow(
    `${folder} is no encoder with a score`,
  );
});
