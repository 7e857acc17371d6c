import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { graph } from '../../../../src/runtime/onnx/graph.ts';
import { Ort } from '../../../../src/runtime/ort/ort.ts';
import { OrtError } from '../../../../src/runtime/ort/api.ts';
import { libraryPath } from '../../../../src/runtime/ort/path.ts';
import { testOrt } from '../../../fakes/ort.ts';

const folder = mkdtempSync(join(tmpdir(), 'coxswain-ort-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** y = 2 x + 1 for rows of 4; `ballast` floats of weights besides. */
function doubling(ballast = 0): Uint8Array {
  const g = graph('doubling');
  const x = g.input('x', 'float32', ['rows', 4]);
  const twice = g.node('Mul', [x, g.scalar(2)]);
  let y = g.node('Add', [twice, g.scalar(1)]);
  if (ballast > 0) {
    const noise = g.initializer('noise', [4, ballast], new Float32Array(4 * ballast).fill(0.5));
    const wide = g.node('MatMul', [y, noise]);
    const zero = g.node('Mul', [g.node('ReduceSum', [wide, g.ints(1)]), g.scalar(0)]);
    y = g.node('Add', [y, zero]);
  }
  g.output('y', y, 'float32', ['rows', 4]);
  return g.bytes();
}

function failure(act: () => unknown): OrtError {
  try {
    act();
  } catch (error) {
    if (error instanceof OrtError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('the library', () => {
  test.each([
    ['linux', 'x64', 'linux/x64/libonnxruntime.so.1'],
    ['linux', 'arm64', 'linux/arm64/libonnxruntime.so.1'],
    ['darwin', 'arm64', 'darwin/arm64/libonnxruntime.1.dylib'],
    ['win32', 'x64', 'win32/x64/onnxruntime.dll'],
    ['win32', 'arm64', 'win32/arm64/onnxruntime.dll'],
  ])('of %s %s is one that the package ships', (platform, arch, end) => {
    const path = libraryPath(platform, arch);
    expect(path.endsWith(join('bin', 'napi-v6', end))).toBe(true);
    expect(readFileSync(path).length).toBeGreaterThan(1e6);
  });

  test.each([
    ['darwin', 'x64'],
    ['freebsd', 'x64'],
    ['linux', 'riscv64'],
    ['toString', 'x64'],
  ])('of %s %s is refused by name, with what is shipped and what would do', (platform, arch) => {
    expect(() => libraryPath(platform, arch)).toThrow(
      new RegExp(`not shipped for ${platform} ${arch}; it is for linux x64.*COXSWAIN_ORT_LIB`),
    );
  });
});

describe('a session', () => {
  test('reads and writes in place, as often as it is run', () => {
    using session = testOrt().session(doubling());
    const [x, y] = [Float32Array.of(1, 2, 3, 4), new Float32Array(4)];
    using input = testOrt().tensor('float32', [1, 4], x);
    using output = testOrt().tensor('float32', [1, 4], y);
    const bound = session.bind({ x: input }, { y: output });
    bound.run();
    expect([...y]).toEqual([3, 5, 7, 9]);
    x.fill(10);
    bound.run();
    expect([...y]).toEqual([21, 21, 21, 21]);
  });

  test('from a file is the same as from memory', () => {
    const path = join(folder, 'good.onnx');
    writeFileSync(path, doubling());
    using session = testOrt().session(path);
    using input = testOrt().tensor('float32', [1, 4], new Float32Array(4));
    using output = testOrt().tensor('float32', [1, 4], new Float32Array(4));
    session.bind({ x: input }, { y: output }).run();
    expect([...(output.data as Float32Array)]).toEqual([1, 1, 1, 1]);
  });

  test("of a missing file, a damaged one or none at all is refused in ORT's own words", () => {
    const missing = failure(() => testOrt().session(join(folder, 'missing.onnx')));
    expect(missing).toMatchObject({ name: 'OrtError', code: 'NO_SUCHFILE' });
    expect(missing.message).toContain('missing.onnx');

    const damaged = doubling(1000);
    damaged.fill(0xff, 0, 60);
    writeFileSync(join(folder, 'damaged.onnx'), damaged);
    const broken = failure(() => testOrt().session(join(folder, 'damaged.onnx')));
    expect(broken.code).toBe('INVALID_PROTOBUF');
    expect(broken.message).toContain('damaged.onnx');

    writeFileSync(join(folder, 'cut.onnx'), doubling(1000).subarray(0, 9000));
    expect(failure(() => testOrt().session(join(folder, 'cut.onnx'))).message).not.toBe('');
    expect(failure(() => testOrt().session(new Uint8Array(0))).message).not.toBe('');
  });

  test('with inputs of the wrong shape, type or name is refused when run, and runs well afterwards', () => {
    using session = testOrt().session(doubling());
    using five = testOrt().tensor('float32', [1, 5], new Float32Array(5));
    using whole = testOrt().tensor('int32', [1, 4], new Int32Array(4));
    using good = testOrt().tensor('float32', [1, 4], new Float32Array(4));
    using output = testOrt().tensor('float32', [1, 4], new Float32Array(4));
    for (const inputs of [{ x: five }, { x: whole }, { z: good }])
      expect(failure(() => session.bind(inputs, { y: output }).run()).code).toBe(
        'INVALID_ARGUMENT',
      );
    session.bind({ x: good }, { y: output }).run();
    expect([...(output.data as Float32Array)]).toEqual([1, 1, 1, 1]);
  });

  test('outlives garbage collection of what it was bound to', () => {
    using session = testOrt().session(doubling());
    const bounds = Array.from({ length: 200 }, (_, i) => {
      const x = testOrt().tensor('float32', [1, 4], new Float32Array(4).fill(i));
      const y = testOrt().tensor('float32', [1, 4], new Float32Array(4));
      return { run: session.bind({ x }, { y }), x, y };
    });
    for (let round = 0; round < 3; round++) {
      Array.from({ length: 50 }, () => new Float32Array(1e5)); // pressure on the collector
      bounds.forEach(({ run, y }, i) => {
        run.run();
        expect((y.data as Float32Array)[0]).toBe(2 * i + 1);
      });
    }
    for (const { x, y } of bounds) for (const tensor of [x, y]) tensor[Symbol.dispose]();
  });
});

test('a tensor whose shape is not its length is refused', () => {
  expect(() => testOrt().tensor('float32', [2, 3], new Float32Array(5))).toThrow(
    'shape 2x3 over 5 elements',
  );
});

test('200 sessions opened and closed leave memory where it was', () => {
  const model = doubling(65_536); // 1 MiB of weights
  const once = (): void => {
    using session = testOrt().session(model);
    using input = testOrt().tensor('float32', [8, 4], new Float32Array(32));
    using output = testOrt().tensor('float32', [8, 4], new Float32Array(32));
    session.bind({ x: input }, { y: output }).run();
  };
  for (let i = 0; i < 50; i++) once(); // allocators warm up
  const before = process.memoryUsage.rss();
  for (let i = 0; i < 200; i++) once();
  const grown = process.memoryUsage.rss() - before;
  expect(grown / 2 ** 20).toBeLessThan(80); // keeping the weights would be 200 MiB
});

test('sessions that run in turn take the memory of one run, not of one run each', () => {
  const rows = 512;
  using input = testOrt().tensor('float32', [rows, 4], new Float32Array(4 * rows));
  using output = testOrt().tensor('float32', [rows, 4], new Float32Array(4 * rows));
  const sessions = Array.from({ length: 16 }, () => testOrt().session(doubling(4096)));
  const before = process.memoryUsage.rss();
  for (const session of sessions) session.bind({ x: input }, { y: output }).run();
  const grown = process.memoryUsage.rss() - before;
  for (const session of sessions) session[Symbol.dispose]();
  expect(grown / 2 ** 20).toBeLessThan(64); // a run takes 8 MiB
});

test('environments come and go, and a disposal said twice is said once', () => {
  for (let i = 0; i < 3; i++) {
    const ort = new Ort({ threads: 1 });
    const session = ort.session(doubling());
    const tensor = ort.tensor('float32', [4], new Float32Array(4));
    for (const one of [tensor, session, ort, tensor, session, ort]) one[Symbol.dispose]();
  }
});
