/** What both processes hold at one moment, and what of it is what. In MB of 2^20 bytes. */

import type { Served } from '../support/server.ts';
import { descriptors, figures, inferenceOf, residentMb } from '../support/watch.ts';

export interface Sample {
  readonly minute: number;
  /** The HTTP process: all of it; V8's heap, garbage and room included; what is neither. */
  readonly http: number;
  readonly httpHeap: number;
  readonly httpRest: number;
  /** Held by caches, within the heap. */
  readonly responses: number;
  readonly compiledRules: number;
  /** Inference: all of it; V8's heap; arrays, which KV and cached prompts are; what is neither: code, weights, what ONNX Runtime and malloc hold. */
  readonly inference: number;
  readonly heap: number;
  readonly arrays: number;
  readonly rest: number;
  /** Held by caches: prompts within the arrays, the others within the heap. */
  readonly prompts: number;
  readonly scores: number;
  readonly rules: number;
  readonly httpDescriptors: number;
  readonly inferenceDescriptors: number;
  readonly running: number;
  readonly waiting: number;
  readonly sockets: number;
  /** The inference process: another one than before if it died. */
  readonly pid: number;
}

/** Null while there is no inference process. */
export async function sampleOf({ base, pid }: Served, minute: number): Promise<Sample | null> {
  const figure = await figures(base);
  const mb = (name: string): number => figure(name) / 2 ** 20;
  const child = inferenceOf(pid);
  if (child === null) return null;
  const [http, inference] = [residentMb(pid), residentMb(child)];
  const [httpHeap, external] = [
    mb('nodejs_heap_size_total_bytes'),
    mb('nodejs_external_memory_bytes'),
  ];
  const [heap, arrays] = [mb('inference_heap_total_bytes'), mb('inference_array_bytes')];
  return {
    minute,
    http,
    httpHeap,
    httpRest: http - httpHeap - external,
    responses: mb('response_store_bytes'),
    compiledRules: mb('compiled_rule_bytes'),
    inference,
    heap,
    arrays,
    rest: inference - heap - arrays,
    prompts: mb('prefix_cache_bytes'),
    scores: mb('score_cache_bytes'),
    rules: mb('rule_cache_bytes'),
    httpDescriptors: descriptors(pid),
    inferenceDescriptors: descriptors(child),
    running: figure('requests_running'),
    waiting: figure('requests_waiting'),
    sockets: figure('ws_connections'),
    pid: child,
  };
}
