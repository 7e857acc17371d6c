/** Where time goes, by V8's sampling profiler. */

import { Session } from 'node:inspector/promises';

const MICROSECONDS = 200;

/**
 * The share of the wall time of `work` that was spent in files whose paths contain each of `parts`; what they call elsewhere
 * is not theirs.
 */
export async function sharesOf(
  parts: readonly string[],
  work: () => Promise<void>,
): Promise<number[]> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: MICROSECONDS });
  await session.post('Profiler.start');
  await work();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  const urls = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame.url]));
  const [samples, deltas] = [profile.samples ?? [], profile.timeDeltas ?? []];
  const spent = (part: string): number =>
    samples.reduce((sum, id, i) => sum + (urls.get(id)!.includes(part) ? deltas[i]! : 0), 0);
  const total = deltas.reduce((sum, delta) => sum + delta, 0);
  return parts.map((part) => spent(part) / total);
}
