/** What operators and Prometheus ask: alive, ready, and every figure. */

import type { Request, Response } from 'express';
import type { Context } from './context.ts';

/** Alive: this process answers. Whether inference does is what `ready` tells. */
export function health(_req: Request, res: Response): void {
  res.json({ status: 'ok' });
}

/** As load balancers of model servers ask: empty. */
export function ping(_req: Request, res: Response): void {
  res.end();
}

/** Requests in flight, in vLLM's words. */
export const load =
  ({ work }: Context) =>
  (_req: Request, res: Response): void => {
    res.json({ server_load: work.running });
  };

export const ready =
  ({ inference, work }: Context) =>
  (_req: Request, res: Response): void => {
    const status = work.draining ? 'draining' : inference.state;
    res.status(status === 'ready' ? 200 : 503).json({ status });
  };

export const metricsPage =
  ({ inference, metrics }: Context) =>
  async (_req: Request, res: Response): Promise<void> => {
    const page = await metrics.page(await inference.snapshot());
    res.setHeader('content-type', metrics.contentType);
    res.end(page);
  };
