/** ONNX Runtime's C API, bound through koffi: the functions we use, by their places in a struct that only grows. */

import koffi, { type LibraryHandle } from 'koffi';

export type Pointer = unknown;
export type Native = (...args: unknown[]) => unknown;
type TypeSpec = Parameters<typeof koffi.sizeof>[0];

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
  CreateTensorAsOrtValue: [48, P, [P, P, 'size_t', 'int', 'out']],
  CreateTensorWithDataAsOrtValue: [49, P, [P, P, 'size_t', P, 'size_t', 'int', 'out']],
  GetTensorMutableData: [51, P, [P, 'out']],
  CreateMemoryInfo: [68, P, ['const char *', 'int', 'int', 'int', 'out']],
  CreateCpuMemoryInfo: [69, P, ['int', 'int', 'out']],
  ReleaseEnv: [92, 'void', [P]],
  ReleaseStatus: [93, 'void', [P]],
  ReleaseMemoryInfo: [94, 'void', [P]],
  ReleaseSession: [95, 'void', [P]],
  ReleaseValue: [96, 'void', [P]],
  ReleaseSessionOptions: [100, 'void', [P]],
  CreateEnvWithGlobalThreadPools: [119, P, ['int', 'const char *', P, 'out']],
  DisablePerSessionThreads: [120, P, [P]],
  CreateThreadingOptions: [121, P, ['out']],
  ReleaseThreadingOptions: [122, 'void', [P]],
  GetAvailableProviders: [125, P, ['out', 'out int']],
  AddSessionConfigEntry: [130, P, [P, 'const char *', 'const char *']],
  CreateAllocator: [131, P, [P, P, 'out']],
  ReleaseAllocator: [132, 'void', [P]],
  CreateAndRegisterAllocator: [144, P, [P, P, P]],
  SetGlobalIntraOpNumThreads: [147, P, [P, 'int']],
  SetGlobalSpinControl: [149, P, [P, 'int']],
  SessionOptionsAppendExecutionProvider: [216, P, [P, 'const char *', P, P, 'size_t']],
} as const satisfies Record<string, readonly [number, string, readonly string[]]>;

/** The oldest API version that has all of the above. */
const API_VERSION = 16;

export type Functions = Readonly<Record<keyof typeof API, Native>>;

/** koffi unloads a library whose handle is collected, and the next call would crash: they stay here. */
const loaded = new Map<string, { readonly library: LibraryHandle; readonly api: Functions }>();

/** The functions of a shared library, which stays loaded. Throws an Error if there is none, or an older one. */
export function loadApi(path: string): Functions {
  const known = loaded.get(path);
  if (known !== undefined) return known.api;
  // Its tiles follow the longest row of a batch: a prompt of 65 tokens read otherwise beside a longer one (arith, by 5e-6).
  process.env['ORT_GQA_DISABLE_FLASH_ATTENTION'] = '1';
  const library = koffi.load(path);
  const base: Pointer = library.func('OrtGetApiBase', 'void *', [])();
  const [getApi] = koffi.decode(base, koffi.array('void *', 1)) as [Pointer];
  const struct = (koffi.decode(getApi, koffi.proto('void *', ['uint32_t'])) as Native)(API_VERSION);
  if (struct === null)
    throw new Error(`${path} is older than ONNX Runtime API version ${API_VERSION}`);
  const length = Math.max(...Object.values(API).map(([at]) => at)) + 1;
  const table = koffi.decode(struct, koffi.array('void *', length)) as Pointer[];
  const api = Object.fromEntries(
    Object.entries(API).map(([name, [at, result, args]]) => [
      name,
      koffi.decode(table[at], koffi.proto(result, args.map(typeOf))) as Native,
    ]),
  ) as Functions;
  loaded.set(path, { library, api });
  return api;
}

function typeOf(name: string): TypeSpec {
  switch (name) {
    case 'out':
      return koffi.out(koffi.pointer('void *'));
    case 'out int':
      return koffi.out(koffi.pointer('int'));
    case 'path':
      return process.platform === 'win32' ? 'str16' : 'str';
    default:
      return name;
  }
}

/** @throws OrtError if the call was refused */
export function checkStatus(api: Functions, status: unknown): void {
  if (status === null) return;
  const code = CODES[api.GetErrorCode(status) as number] ?? 'UNKNOWN';
  const message = api.GetErrorMessage(status) as string;
  api.ReleaseStatus(status);
  throw new OrtError(code, message);
}

/** What the library holds, such as CPUExecutionProvider. @param path of the shared library; it stays loaded */
export function providersOf(path: string): string[] {
  const api = loadApi(path);
  const [names, length]: [[Pointer], [number]] = [[null], [0]];
  checkStatus(api, api.GetAvailableProviders(names, length));
  return koffi.decode(names[0], koffi.array('const char *', length[0])) as string[];
}

/** A handle released twice ends the process. */
export function once(release: () => unknown): () => void {
  let released = false;
  return () => {
    if (!released) release();
    released = true;
  };
}

/** V8 keeps typed arrays of up to 64 bytes inside its moving heap until `buffer` is first read. */
export function pin(data: ArrayBufferView): void {
  void data.buffer;
}

export interface Strings {
  readonly table: BigUint64Array;
  readonly texts: readonly Buffer[];
}

/** Texts as a C array. */
export function strings(texts: readonly string[]): Strings {
  const buffers = texts.map((text) => Buffer.alloc(Buffer.byteLength(text) + 1, text + '\0'));
  return { table: addresses(buffers), texts: buffers };
}

/** Pointers as a C array. What they point to must live as long. */
export function addresses(pointers: readonly Pointer[]): BigUint64Array {
  const table = BigUint64Array.from(pointers, (pointer) => koffi.address(pointer as Buffer));
  pin(table);
  return table;
}
