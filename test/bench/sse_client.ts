/** The client's own process: a closed loop of SSE streams against a server; prints its figures as JSON. */

import { Agent, request as httpRequest } from 'node:http';
import { closedLoop, type Request } from './closed_loop.ts';

interface Job {
  readonly port: number;
  readonly streams: number;
  readonly warmMs: number;
  readonly windowMs: number;
  readonly bodies: readonly Record<string, unknown>[];
}

const job = JSON.parse(process.argv[2]!) as Job;
const agent = new Agent({ keepAlive: true, maxSockets: job.streams });
const figures = await closedLoop(job.streams, job, (request, i) =>
  stream({ ...job.bodies[i % job.bodies.length], seed: i, stream: true }, request),
);
agent.destroy();
process.send?.(figures);

/** Every content chunk carries at least one token; the text of one token is never split over two. */
function stream(body: Record<string, unknown>, request: Request): Promise<void> {
  const payload = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const call = httpRequest(
      {
        port: job.port,
        path: '/v1/completions',
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(payload),
        },
      },
      (response) => {
        if (response.statusCode !== 200) return reject(new Error(`status ${response.statusCode}`));
        let rest = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          const events = (rest + text).split('\n\n');
          rest = events.pop()!;
          const tokens = events.filter(
            (event) => event.includes('"text":"') && !event.includes('"text":""'),
          ).length;
          if (tokens > 0) request.arrived(tokens);
        });
        response.on('end', resolve);
        response.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(payload);
  });
}
