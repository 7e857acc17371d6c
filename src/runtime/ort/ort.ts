/**
 * ONNX Runtime through its C API: environment, sessions and values.
 * The public Node binding copies every output, KV included, back to JS each step; here values are built
 * once over memory we own, outputs land in place, and one thread pool serves all sessions (ENGINE.md).
 */

import { resolve } from 'node:path';
import { product } from '../onnx/initializer.ts';
import {
  addresses,
  checkStatus,
  loadApi,
  once,
  pin,
  strings,
  type Functions,
  type Native,
  type Pointer,
  type Strings,
} from './api.ts';
import { libraryPath } from './path.ts';

const LOG_ERRORS_ONLY = 3;
const ALL_OPTIMISATIONS = 99;
const ARENA_ALLOCATOR = 1;

const ELEMENT = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;

const EXTERNAL_DATA = 'session.model_external_initializers_file_folder_path';

type Element = keyof typeof ELEMENT;
/** Halves are given by their bits. */
type Data =
  Float32Array | Float64Array | Int8Array | Int32Array | BigInt64Array | Uint8Array | Uint16Array;

/** An ORT value, wherever its memory is. */
export interface Tensor extends Disposable {
  readonly handle: Pointer;
}

/** A value over memory that JS owns: ORT reads and writes `data` in place. */
export interface HostTensor extends Tensor {
  readonly data: Data;
}

/** A value in a device's memory. */
export interface DeviceTensor extends Tensor {
  /** The same memory from its beginning in another shape, of no more elements. */
  view(dims: readonly number[]): Tensor;
}

/** Memory of a device. Release what is in it first, then it, then the session that gave it. */
interface Allocator extends Disposable {
  /** Of float32; what is in it is not defined. Throws OrtError where there is no room. */
  tensor(dims: readonly number[]): DeviceTensor;
}

/** Inputs and outputs of a session, tied together once; `run` costs one native call. */
export interface Bound {
  run(): void;
}

export interface OrtSession extends Disposable {
  bind(inputs: Readonly<Record<string, Tensor>>, outputs: Readonly<Record<string, Tensor>>): Bound;
  /** @param memory what the session's provider calls its device's memory */
  allocator(memory: string): Allocator;
}

interface OrtOptions {
  /** Threads of the one pool that all sessions share; 0: as many as ORT finds cores. */
  readonly threads: number;
  /** Threads wait busily between operators. Default: true. */
  readonly spin?: boolean;
  /** The shared library; by default the npm package's, or COXSWAIN_ORT_LIB where the caller passes it on. */
  readonly library?: string;
}

interface Loading {
  /** What runs it, by ORT's name for the option; left out: the CPU. What it cannot run, the CPU does. */
  readonly provider?: string;
  /** Where the tensors are that a graph in memory stores in files. */
  readonly folder?: string;
}

/** One ORT environment. Release sessions and tensors before it; at process exit, release nothing. */
export class Ort implements Disposable {
  readonly #f: Functions;
  readonly #env: Pointer;
  readonly #memory: Pointer;
  readonly #names = new Map<string, Strings>();
  /** Time spent in runs, of all sessions. */
  seconds = 0;

  constructor({ threads, spin = true, library: path = libraryPath() }: OrtOptions) {
    this.#f = loadApi(path);
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
    this.#shareArena();
  }

  /**
   * One arena for all sessions. An arena never gives back what a run once needed, and by default each session has its
   * own: those of the tails alone held 67 MB for what one does with 5 (docs/log.md).
   */
  #shareArena(): void {
    const arena = this.#out(this.#f.CreateCpuMemoryInfo, ARENA_ALLOCATOR, 0);
    this.#check(this.#f.CreateAndRegisterAllocator(this.#env, arena, null));
    this.#f.ReleaseMemoryInfo(arena);
  }

  /**
   * Loads a graph from a file, or from bytes in memory.
   * @throws OrtError with ORT's own message
   */
  session(model: string | Uint8Array, { provider, folder }: Loading = {}): OrtSession {
    const options = this.#out(this.#f.CreateSessionOptions);
    try {
      if (provider !== undefined)
        this.#check(
          this.#f.SessionOptionsAppendExecutionProvider(options, provider, null, null, 0),
        );
      this.#check(this.#f.DisablePerSessionThreads(options));
      this.#check(this.#f.AddSessionConfigEntry(options, 'session.use_env_allocators', '1'));
      if (folder !== undefined)
        this.#check(this.#f.AddSessionConfigEntry(options, EXTERNAL_DATA, folder));
      this.#check(this.#f.SetSessionGraphOptimizationLevel(options, ALL_OPTIMISATIONS));
      const session =
        typeof model === 'string'
          ? this.#out(this.#f.CreateSession, this.#env, resolve(model), options)
          : this.#out(this.#f.CreateSessionFromArray, this.#env, model, model.byteLength, options);
      return {
        bind: (inputs, outputs) => this.#bind(session, inputs, outputs),
        allocator: (memory) => this.#allocator(session, memory),
        [Symbol.dispose]: once(() => this.#f.ReleaseSession(session)),
      };
    } finally {
      this.#f.ReleaseSessionOptions(options);
    }
  }

  /** @param dims shape; its product is `data`'s length */
  tensor(type: Element, dims: readonly number[], data: Data): HostTensor {
    const size = product(dims);
    if (size !== data.length)
      throw new Error(`shape ${dims.join('x')} over ${data.length} elements`);
    pin(data);
    return { data, ...this.#over(this.#memory, data, data.byteLength, type, dims) };
  }

  readonly [Symbol.dispose] = once(() => {
    this.#f.ReleaseMemoryInfo(this.#memory);
    this.#f.ReleaseEnv(this.#env);
  });

  /** A value over memory that is there. */
  #over(
    memory: Pointer,
    data: Pointer,
    bytes: number,
    type: Element,
    dims: readonly number[],
  ): Tensor {
    const shape = BigInt64Array.from(dims, BigInt);
    const create = this.#f.CreateTensorWithDataAsOrtValue;
    const handle = this.#out(create, memory, data, bytes, shape, shape.length, ELEMENT[type]);
    return { handle, [Symbol.dispose]: once(() => this.#f.ReleaseValue(handle)) };
  }

  #allocator(session: Pointer, name: string): Allocator {
    const memory = this.#out(this.#f.CreateMemoryInfo, name, 0, 0, 0);
    const allocator = this.#out(this.#f.CreateAllocator, session, memory);
    return {
      tensor: (dims) => {
        const shape = BigInt64Array.from(dims, BigInt);
        const create = this.#f.CreateTensorAsOrtValue;
        const handle = this.#out(create, allocator, shape, shape.length, ELEMENT.float32);
        const data = this.#out(this.#f.GetTensorMutableData, handle);
        return {
          handle,
          view: (some) => {
            if (product(some) > product(dims))
              throw new Error(`${some.join('x')} are more elements than ${dims.join('x')}`);
            return this.#over(memory, data, 4 * product(some), 'float32', some);
          },
          [Symbol.dispose]: once(() => this.#f.ReleaseValue(handle)),
        };
      },
      [Symbol.dispose]: once(() => {
        this.#f.ReleaseAllocator(allocator);
        this.#f.ReleaseMemoryInfo(memory);
      }),
    };
  }

  #bind(
    session: Pointer,
    inputs: Readonly<Record<string, Tensor>>,
    outputs: Readonly<Record<string, Tensor>>,
  ): Bound {
    const [ins, outs] = [Object.values(inputs), Object.values(outputs)];
    const [inNames, outNames] = [this.#texts(inputs), this.#texts(outputs)];
    const [inValues, outValues] = [handles(ins), handles(outs)];
    const { Run } = this.#f;
    // Everything native code holds a pointer to lives as long as the closure does.
    const keep = { inNames, outNames, inValues, outValues, ins, outs };
    return {
      run: () => {
        const started = performance.now();
        this.#check(
          Run(
            session,
            null,
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
    checkStatus(this.#f, status);
  }

  #out(call: Native, ...args: unknown[]): Pointer {
    const slot: [Pointer] = [null];
    this.#check(call(...args, slot));
    return slot[0];
  }
}

const handles = (tensors: readonly Tensor[]): BigUint64Array =>
  addresses(tensors.map(({ handle }) => handle));
