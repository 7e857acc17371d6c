/** Which execution providers a build of ONNX Runtime holds, asked through its C API without loading a model. */

import koffi from 'koffi';

type Pointer = unknown;
type Native = (...args: unknown[]) => unknown;

/** Places in struct OrtApi, which is append-only. */
const PLACES = { get: 125, release: 126 };
const API_VERSION = 16;

/** Names such as CPUExecutionProvider. @param path of the shared library; it stays loaded */
export function providersOf(path: string): string[] {
  const library = koffi.load(path);
  held.push(library);
  const base: Pointer = library.func('OrtGetApiBase', 'void *', [])();
  const [getApi] = koffi.decode(base, koffi.array('void *', 1)) as [Pointer];
  const api = (koffi.decode(getApi, koffi.proto('void *', ['uint32_t'])) as Native)(API_VERSION);
  const table = koffi.decode(api, koffi.array('void *', PLACES.release + 1)) as Pointer[];
  const out = koffi.out(koffi.pointer('void *'));
  const count = koffi.out(koffi.pointer('int'));
  const get = koffi.decode(table[PLACES.get], koffi.proto('void *', [out, count])) as Native;
  const [names, length]: [[Pointer], [number]] = [[null], [0]];
  if (get(names, length) !== null) throw new Error(`${path} does not name its providers`);
  return koffi.decode(names[0], koffi.array('const char *', length[0])) as string[];
}

/** koffi unloads a library whose handle is collected. */
const held: unknown[] = [];
