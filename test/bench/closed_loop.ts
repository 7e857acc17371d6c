/** A closed loop of streams: each sends its next request when the last one ends; what arrives in the window counts. */

/** One request as it runs: told of each piece of text that arrives, with its tokens. */
export interface Request {
  arrived(tokens: number): void;
}

export interface Figures {
  readonly tokensPerSecond: number;
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly ttft: Quantiles;
  readonly itl: Quantiles;
}
export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

/**
 * @param ask runs one request to its end; `i` counts requests over all streams
 * @param onWindow called as the window opens and closes, after the warm-up
 */
export async function closedLoop(
  streams: number,
  { warmMs, windowMs }: { readonly warmMs: number; readonly windowMs: number },
  ask: (request: Request, i: number) => Promise<void>,
  onWindow: (open: boolean) => void = () => undefined,
): Promise<Figures> {
  const ttft: number[] = [];
  const itl: number[] = [];
  let [tokens, requests, next] = [0, 0, 0];
  let [counting, running] = [false, true];
  const request = (): Request => {
    const sentAt = performance.now();
    let last: number | null = null;
    return {
      arrived(n) {
        const now = performance.now();
        if (counting) {
          tokens += n;
          if (last === null) ttft.push(now - sentAt);
          else itl.push((now - last) / Math.max(1, n));
        }
        last = now;
      },
    };
  };
  const loops = Array.from({ length: streams }, async () => {
    while (running) {
      await ask(request(), next++);
      if (counting) requests++;
    }
  });
  await sleep(warmMs);
  onWindow(true);
  counting = true;
  const started = performance.now();
  await sleep(windowMs);
  counting = false;
  const seconds = (performance.now() - started) / 1000;
  onWindow(false);
  running = false;
  await Promise.all(loops);
  return {
    tokensPerSecond: tokens / seconds,
    requestsPerSecond: requests / seconds,
    ttft: quantiles(ttft),
    itl: quantiles(itl),
  };
}

function quantiles(values: number[]): Quantiles {
  values.sort((a, b) => a - b);
  const at = (q: number): number =>
    values[Math.min(values.length - 1, Math.floor(q * values.length))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
