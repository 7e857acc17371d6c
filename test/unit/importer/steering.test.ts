/** Steering in the graph against a plain forward pass in float64: what it adds, where, and the states that it gives. */

import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { importModel } from '../../../src/importer/import.ts';
import { Decoder, farthest, randomCheckpoint, temporaryFolder, tokens } from './checkpoint.ts';
import { Reference } from './reference.ts';

const WIDTH = 64;
const checkpoint = randomCheckpoint();
const reference = new Reference(checkpoint.source);
const vector = Float32Array.from({ length: WIDTH }, (_, i) => Math.sin(3 * i));
const rows = [tokens(9, 1), tokens(4, 2)];
/** The first row is steered, the second is not. */
const input = (): Record<string, Tensor> => {
  const values = new Float32Array(2 * WIDTH);
  values.set(vector);
  return { steering: new Tensor('float32', values, [2, WIDTH]) };
};
const added = (after: number) => (layer: number, state: number[]) =>
  layer === after ? state.map((x, i) => x + vector[i]!) : state;

test.each([1, 2])('after layer %i it is added at every position of its row', async (layer) => {
  const decoder = await Decoder.open(checkpoint, 'float32', { steering: layer });
  const [steered, plain] = await decoder.read('logits', rows, input());
  expect(farthest(steered!, reference.logits(rows[0]!, added(layer)).at(-1)!)).toBeLessThan(1e-4);
  expect(farthest(plain!, reference.logits(rows[1]!).at(-1)!)).toBeLessThan(1e-4);
  const [next] = await decoder.read('logits', [[7], [8]], input());
  const whole = [...rows[0]!, 7];
  expect(farthest(next!, reference.logits(whole, added(layer)).at(-1)!)).toBeLessThan(1e-4);
});

test.each([1, 2])(
  'the states that leave layer %i are given as they are before it',
  async (layer) => {
    const decoder = await Decoder.open(checkpoint, 'float32', { steering: layer });
    const given = await decoder.read('steering_states', rows, input());
    rows.forEach((row, r) => {
      const left: number[][] = [];
      reference.logits(row, (at, state) => {
        if (at === layer) left.push(state);
        return state;
      });
      expect(given[r]).toHaveLength(WIDTH);
      expect(farthest(given[r]!, left.at(-1)!)).toBeLessThan(1e-4);
    });
  },
);

test('the manifest says after which layer, and how wide', () => {
  const common = { from: checkpoint.folder, role: 'policy', created: 0 } as const;
  const [plain, steered] = [temporaryFolder(), temporaryFolder()];
  expect(importModel({ ...common, to: `${plain}/m` }).steering).toBeUndefined();
  const manifest = importModel({ ...common, to: `${steered}/m`, steering: 2 });
  expect(manifest.steering).toEqual({ layer: 2, width: WIDTH });
});
