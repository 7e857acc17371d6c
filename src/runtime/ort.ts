/**
 * ONNX Runtime through its C API: the only file that knows koffi or ORT.
 * The public Node binding copies every output, KV included, back to JS each step; here values are built
 * once over memory we own, outputs land in place, and one thread pool serves all sessions (ENGINE.md).
 */

import { resolve } from 'node:path';
import koffi, { type LibraryHandle } from 'koffi';
import { libraryPath } from './ort_path.ts';

type Pointer = unknown;
type TypeSpec = Parameters<typeof koffi.sizeof>[0];
type Native = (...args: unknown[]) => unknown;

/** A call that ONNX Runtime refused, with its own message. */
export class OrtError extends Error {
  override readonly name = 'OrtError';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const CODES = `OK FAIL INVALID_ARGUMENT NO_SUCHFILE NO_MODEL ENGINE_ERROR RUNTIME_EXCEPTION
  INVALID_PROTOBUF MODEL_LOADED NOT_IMPLEMENTED INVALID_GRAPH EP_FAIL`.split(/\s+/);

const P = 'void *';

/** Place in struct OrtApi and signature of each function we use. The struct is append-only: places never change. */
const API = {
  GetErrorCode: [1, 'int', [P]],
  GetErrorMessage: [2, 'const char *', [P]],
  DisableTelemetryEvents: [6, P, [P]],
  CreateSession: [7, P, [P, 'path', P, 'out']],
  CreateSessionFromArray: [8, P, [P, P, 'size_t', P, 'out']],
  Run: [9, P, [P, P, P, P, 'size_t', P, 'size_t', P]],
  CreateSessionOptions: [10, P, ['out']],
  SetSessionGraphOptimizationLevel: [23, P, [P, 'int']],
  CreateRunOptions: [39, P, ['out']],
  RunOptionsSetTerminate: [46, P, [P]],
  CreateTensorWithDataAsOrtValue: [49, P, [P, P, 'size_t', P, 'size_t', 'int', 'out']],
  CreateCpuMemoryInfo: [69, P, ['int', 'int', 'out']],
  ReleaseEnv: [92, 'void', [P]],
  ReleaseStatus: [93, 'void', [P]],
  ReleaseMemoryInfo: [94, 'void', [P]],
  ReleaseSession: [95, 'void', [P]],
  ReleaseValue: [96, 'void', [P]],
  ReleaseRunOptions: [97, 'void', [P]],
  ReleaseSessionOptions: [100, 'void', [P]],
  CreateEnvWithGlobalThreadPools: [119, P, ['int', 'const char *', P, 'out']],
  DisablePerSessionThreads: [120, P, [P]],
  CreateThreadingOptions: [121, P, ['out']],
  ReleaseThreadingOptions: [122, 'void', [P]],
  AddSessionConfigEntry: [130, P, [P, 'const char *', 'const char *']],
  SetGlobalIntraOpNumThreads: [147, P, [P, 'int']],
  SetGlobalSpinControl: [149, P, [P, 'int']],
} as const satisfies Record<string, readonly [number, string, readonly string[]]>;

/** The oldest API version that has all of the above. */
const API_VERSION = 16;
const LOG_ERRORS_ONLY = 3;
const ALL_OPTIMISATIONS = 99;

type Functions = Readonly<Record<keyof typeof API, Native>>;

/** koffi unloads a library whose handle is collected, and the next call would crash: it stays here. */
let library: LibraryHandle | null = null;
let functions: Functions | null = null;

function load(path: string): Functions {
  if (functions !== null) return functions;
  // Its tiles follow the longest row of a batch: a prompt of 65 tokens read otherwise beside a longer one (arith, by 5e-6).
  process.env['ORT_GQA_DISABLE_FLASH_ATTENTION'] = '1';
  library = koffi.load(path);
  const base: Pointer = library.func('OrtGetApiBase', 'void *', [])();
  const [getApi] = koffi.decode(base, koffi.array('void *', 1)) as [Pointer];
  const api = (koffi.decode(getApi, koffi.proto('void *', ['uint32_t'])) as Native)(API_VERSION);
  if (api === null)
    throw new Error(`${path} is older than ONNX Runtime API version ${API_VERSION}`);
  const length = Math.max(...Object.values(API).map(([at]) => at)) + 1;
  const table = koffi.decode(api, koffi.array('void *', length)) as Pointer[];
  const types = (name: string): TypeSpec =>
    name === 'out'
      ? koffi.out(koffi.pointer('void *'))
      : name === 'path'
        ? process.platform === 'win32'
          ? 'str16'
          : 'str'
        : name;
  functions = Object.fromEntries(
    Object.entries(API).map(([name, [at, result, args]]) => [
      name,
      koffi.decode(table[at], koffi.proto(result, args.map(types))) as Native,
    ]),
  ) as Functions;
  return functions;
}

const ELEMENT = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  float64: 11,
} as const;

export type Element = keyof typeof ELEMENT;
export type Data = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/** An ORT value over memory that JS owns: ORT reads and writes `data` in place. */
export interface Tensor extends Disposable {
  readonly data: Data;
  readonly handle: Pointer;
}

/** Inputs and outputs of a session, tied together once; `run` costs one native call. */
export interface Bound {
  run(): void;
}

export interface OrtSession extends Disposable {
  bind(inputs: Readonly<Record<string, Tensor>>, outputs: Readonly<Record<string, Tensor>>): Bound;
}

export interface OrtOptions {
  /** Threads of the one pool that all sessions share; 0: as many as ORT finds cores. */
  readonly threads: number;
  /** Threads wait busily between operators. Default: true. */
  readonly spin?: boolean;
  /** The shared library; by default the npm package's, or COXSWAIN_ORT_LIB where the caller passes it on. */
  readonly library?: string;
}

/** One ORT environment. Release sessions and tensors before it; at process exit, release nothing. */
export class Ort implements Disposable {
  readonly #f: Functions;
  readonly #env: Pointer;
  readonly #memory: Pointer;
  readonly #runOptions: Pointer;
  readonly #names = new Map<string, Strings>();
  /** Time spent in runs, of all sessions. */
  seconds = 0;

  constructor({ threads, spin = true, library: path = libraryPath() }: OrtOptions) {
    this.#f = load(path);
    const threading = this.#out(this.#f.CreateThreadingOptions);
    this.#check(this.#f.SetGlobalIntraOpNumThreads(threading, threads));
    this.#check(this.#f.SetGlobalSpinControl(threading, Number(spin)));
    this.#env = this.#out(
      this.#f.CreateEnvWithGlobalThreadPools,
      LOG_ERRORS_ONLY,
      'coxswain',
      threading,
    );
    this.#f.ReleaseThreadingOptions(threading);
    this.#check(this.#f.DisableTelemetryEvents(this.#env)); // or 1.30 writes a device id under the user's cache
    this.#memory = this.#out(this.#f.CreateCpuMemoryInfo, 0, 0);
    this.#runOptions = this.#out(this.#f.CreateRunOptions);
  }

  /** Loads a graph from a file, or from bytes in memory. Throws OrtError with ORT's own message. */
  session(model: string | Uint8Array): OrtSession {
    const options = this.#out(this.#f.CreateSessionOptions);
    try {
      this.#check(this.#f.DisablePerSessionThreads(options));
      this.#check(this.#f.SetSessionGraphOptimizationLevel(options, ALL_OPTIMISATIONS));
      const session =
        typeof model === 'string'
          ? this.#out(this.#f.CreateSession, this.#env, resolve(model), options)
          : this.#out(this.#f.CreateSessionFromArray, this.#env, model, model.byteLength, options);
      return {
        bind: (inputs, outputs) => this.#bind(session, inputs, outputs),
        [Symbol.dispose]: once(() => this.#f.ReleaseSession(session)),
      };
    } finally {
      this.#f.ReleaseSessionOptions(options);
    }
  }

  /** @param dims shape; its product is `data`'s length */
  tensor(type: Element, dims: readonly number[], data: Data): Tensor {
    const size = dims.reduce((a, b) => a * b, 1);
    if (size !== data.length)
      throw new Error(`shape ${dims.join('x')} over ${data.length} elements`);
    const shape = BigInt64Array.from(dims, BigInt);
    pin(data);
    const handle = this.#out(
      this.#f.CreateTensorWithDataAsOrtValue,
      this.#memory,
      data,
      data.byteLength,
      shape,
      shape.length,
      ELEMENT[type],
    );
    return { data, handle, [Symbol.dispose]: once(() => this.#f.ReleaseValue(handle)) };
  }

  /** Ends a run in progress and refuses later ones: the watchdog of a shutdown that hangs. */
  terminate(): void {
    this.#check(this.#f.RunOptionsSetTerminate(this.#runOptions));
  }

  readonly [Symbol.dispose] = once(() => {
    this.#f.ReleaseRunOptions(this.#runOptions);
    this.#f.ReleaseMemoryInfo(this.#memory);
    this.#f.ReleaseEnv(this.#env);
  });

  #bind(
    session: Pointer,
    inputs: Readonly<Record<string, Tensor>>,
    outputs: Readonly<Record<string, Tensor>>,
  ): Bound {
    const [ins, outs] = [Object.values(inputs), Object.values(outputs)];
    const [inNames, outNames] = [this.#texts(inputs), this.#texts(outputs)];
    const [inValues, outValues] = [pointers(ins), pointers(outs)];
    const { Run } = this.#f;
    // Everything native code holds a pointer to lives as long as the closure does.
    const keep = { inNames, outNames, inValues, outValues, ins, outs };
    return {
      run: () => {
        const started = performance.now();
        this.#check(
          Run(
            session,
            this.#runOptions,
            keep.inNames.table,
            keep.inValues,
            ins.length,
            keep.outNames.table,
            outs.length,
            keep.outValues,
          ),
        );
        this.seconds += (performance.now() - started) / 1000;
      },
    };
  }

  /** The names as a C array; a session is bound again and again with the same ones. */
  #texts(tensors: Readonly<Record<string, Tensor>>): Strings {
    const key = Object.keys(tensors).join();
    let texts = this.#names.get(key);
    if (texts === undefined) this.#names.set(key, (texts = strings(Object.keys(tensors))));
    return texts;
  }

  #check(status: unknown): void {
    if (status === null) return;
    const code = CODES[this.#f.GetErrorCode(status) as number] ?? 'UNKNOWN';
    const message = this.#f.GetErrorMessage(status) as string;
    this.#f.ReleaseStatus(status);
    throw new OrtError(code, message);
  }

  #out(call: Native, ...args: unknown[]): Pointer {
    const slot: [Pointer] = [null];
    this.#check(call(...args, slot));
    return slot[0];
  }
}

/** A handle released twice ends the process. */
function once(release: () => unknown): () => void {
  let released = false;
  return () => {
    if (!released) release();
    released = true;
  };
}

/** V8 keeps typed arrays of up to 64 bytes inside its moving heap until `buffer` is first read. */
function pin(data: ArrayBufferView): void {
  void data.buffer;
}

interface Strings {
  readonly table: BigUint64Array;
  readonly texts: readonly Buffer[];
}

function strings(texts: readonly string[]): Strings {
  const buffers = texts.map((text) => Buffer.alloc(Buffer.byteLength(text) + 1, text + '\0'));
  const table = BigUint64Array.from(buffers, (b) => koffi.address(b));
  pin(table);
  return { table, texts: buffers };
}

function pointers(tensors: readonly Tensor[]): BigUint64Array {
  const table = BigUint64Array.from(tensors, (t) => koffi.address(t.handle));
  pin(table);
  return table;
}
