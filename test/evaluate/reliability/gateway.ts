/** The share of a request that the HTTP process takes, by the phases that the server itself records: planning and writing, over the whole. */

import { measureServed } from '../../bench/served.ts';
import { figure } from '../../support/watch.ts';
import { ENDLESS, type Row } from './ask.ts';

const STREAMS = 32;
const WINDOW = { warmMs: 2000, windowMs: 8000 };

const SUMS = {
  plan: 'request_gateway_time_seconds_sum{phase="plan"}',
  write: 'request_gateway_time_seconds_sum{phase="write"}',
  whole: 'e2e_request_latency_seconds_sum',
} as const;

export async function gatewayShare({ port, base }: { port: number; base: string }): Promise<Row[]> {
  const streams = () =>
    measureServed(port, STREAMS, WINDOW, [{ ...ENDLESS, prompt: 'One day, Tom', max_tokens: 150 }]);
  await streams(); // the first round warms both processes
  const [plan, write, whole] = await Promise.all(
    Object.values(SUMS).map((sum) => figure(base, sum)),
  );
  const requests = await figure(base, 'e2e_request_latency_seconds_count');
  await streams();
  const share = async (sum: string, before: number): Promise<number> =>
    (100 * ((await figure(base, sum)) - before)) / ((await figure(base, SUMS.whole)) - whole!);
  const [planning, writing] = [await share(SUMS.plan, plan!), await share(SUMS.write, write!)];
  const answered = (await figure(base, 'e2e_request_latency_seconds_count')) - requests;
  return [
    [
      `gateway at ${STREAMS} streams, ${answered} requests: until inference has the plan, and writing`,
      `${planning.toFixed(2)} + ${writing.toFixed(2)} = ${(planning + writing).toFixed(2)} % of the request's time`,
      '5 %',
    ],
  ];
}
