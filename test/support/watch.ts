/** A running server seen from outside: its metrics, its processes, and waiting for either. */

import { readFileSync, readdirSync } from 'node:fs';

/** The value of a metric, its labels spelled with its name; it must be there. Ours go without their prefix. */
export async function figure(base: string, name: string): Promise<number> {
  return (await figures(base))(name);
}

/** The same of one page, for figures that belong together. */
export async function figures(base: string): Promise<(name: string) => number> {
  const lines = (await (await fetch(`${base}/metrics`)).text()).split('\n');
  return (name) => {
    const line = lines.find(
      (each) => each.startsWith(`coxswain_${name} `) || each.startsWith(`${name} `),
    );
    if (line === undefined) throw new Error(`the page has no coxswain_${name}`);
    return Number(line.split(' ')[1]);
  };
}

const LONG_MS = 30_000;

/** Whether `holds` comes true, asked again and again. */
export async function eventually(
  holds: () => Promise<boolean>,
  { everyMs = 20, withinMs = LONG_MS }: { everyMs?: number; withinMs?: number } = {},
): Promise<boolean> {
  for (const end = performance.now() + withinMs; performance.now() < end;) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  return false;
}

/** Whether nothing runs or waits, and no KV row is held. */
export async function isIdle(base: string): Promise<boolean> {
  const names = ['requests_running', 'requests_waiting', 'kv_cache_usage_ratio'];
  const figures = await Promise.all(names.map((name) => figure(base, name)));
  return figures.every((each) => each === 0);
}

/** The inference process of a server (Linux); null between two of them. */
export function inferenceOf(pid: number): number | null {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? null : Number(children.split(' ')[0]);
}

/** Resident memory of a process, in MB of 2^20 bytes (Linux). */
export const residentMb = (pid: number): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

/** Open descriptors of a process (Linux). */
export const descriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
