import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ConfigError } from '../../src/ops/config.ts';
import { createLog } from '../../src/ops/log.ts';
import { loadTracing } from '../../src/ops/tracing.ts';
import { Client, served } from '../fakes/server.ts';

const exporter = new InMemorySpanExporter();
beforeAll(() => {
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
});
afterEach(() => exporter.reset());
afterAll(() => trace.disable());

const traced = async () => served({}, createLog('silent'), await loadTracing());
const SECRET = 'a prompt that nobody else may read';
const ask = { model: 'tales', prompt: SECRET, max_tokens: 5 };
const ms = ([seconds, nanos]: readonly [number, number]): number => seconds * 1e3 + nanos / 1e6;

/** The spans of so many requests, the children of each before it. */
async function spans(requests: number): Promise<ReadableSpan[]> {
  const roots = () => exporter.getFinishedSpans().filter(({ name }) => name.startsWith('/'));
  await expect.poll(roots).toHaveLength(requests);
  return exporter.getFinishedSpans();
}
const only = (all: readonly ReadableSpan[], name: string): ReadableSpan => {
  const [found, more] = all.filter((span) => span.name === name);
  expect(more).toBeUndefined();
  if (found === undefined)
    throw new Error(`no span ${name} among ${all.map((span) => span.name).join()}`);
  return found;
};

test('a request is a span with its phases in their order, and never what was said', async () => {
  await using server = await traced();
  const guides = [{ model: 'arm-happy', weight: 1 }];
  const body = { ...ask, stream: true, alignment: { guides } };
  await (await server.post('/v1/completions', body)).text();
  const all = await spans(1);
  const root = only(all, '/v1/completions');
  expect(root.attributes).toMatchObject({
    'http.route': '/v1/completions',
    'gen_ai.request.model': 'tales',
    'gen_ai.usage.input_tokens': SECRET.length + 1,
    'gen_ai.usage.output_tokens': 5,
    'coxswain.strategy': 'sample',
    'coxswain.guides': 1,
    'coxswain.vectors': 0,
    'coxswain.guide_tokens': 5,
    'coxswain.stream': true,
    'coxswain.outcome': 'ok',
  });
  expect(root.events.map(({ name }) => name)).toEqual(['first text']);
  const phases = ['queue', 'prefill', 'decode'].map((name) => only(all, name));
  let at = ms(root.startTime);
  for (const { startTime, endTime, parentSpanContext } of phases) {
    expect(parentSpanContext?.spanId).toBe(root.spanContext().spanId);
    expect(ms(startTime)).toBeGreaterThanOrEqual(at - 0.01);
    expect(ms(endTime)).toBeGreaterThanOrEqual(ms(startTime));
    at = ms(endTime);
  }
  expect(at).toBeLessThanOrEqual(ms(root.endTime) + 0.01);
  const told = all.map(({ name, attributes, events }) => [name, attributes, events]);
  expect(JSON.stringify(told)).not.toContain('nobody else');
});

test('a W3C traceparent is gone on from, over HTTP and WebSocket, and what is none is not', async () => {
  await using server = await traced();
  const traceId = 'af7651916cd43dd8448eb211c80319c0';
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
  const headers = { 'content-type': 'application/json', traceparent, tracestate: 'a=b' };
  await (await server.post('/v1/completions', ask, { headers })).text();
  await using client = await new Client(server.port, undefined, {
    headers: { traceparent },
  }).open();
  client.send({ type: 'completion.create', id: 'x', ...ask });
  await client.until((frames) => frames.some(({ type }) => type === 'done'));
  for (const span of await spans(2)) expect(span.spanContext().traceId).toBe(traceId);
  const roots = exporter.getFinishedSpans().filter(({ name }) => name.startsWith('/'));
  for (const { parentSpanContext } of roots)
    expect(parentSpanContext).toMatchObject({ spanId: 'b7ad6b7169203331', isRemote: true });
  expect(roots[0]?.spanContext().traceState?.get('a')).toBe('b');
  exporter.reset();
  for (const wrong of [
    'x',
    `ff-${traceId}-b7ad6b7169203331-01`,
    `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  ])
    await (
      await server.post('/v1/completions', ask, { headers: { ...headers, traceparent: wrong } })
    ).text();
  for (const span of await spans(3)) expect(span.spanContext().traceId).not.toBe(traceId);
});

test('outcomes: a refusal, a failure of ours, and a client that left', async () => {
  await using server = await traced();
  await server.post('/v1/completions', { ...ask, max_tokens: 0 });
  await server.post('/v1/completions', { ...ask, prompt: '!fail' });
  const leave = new AbortController();
  const body = { ...ask, prompt: '!hang', stream: true };
  const response = await server.post('/v1/completions', body, { signal: leave.signal });
  await response.body!.getReader().read();
  leave.abort();
  const all = await spans(3);
  const told = all.map(({ attributes, status }) => [
    attributes['coxswain.outcome'],
    attributes['error.type'],
    status.code,
  ]);
  expect(told).toEqual([
    ['invalid_value', 'invalid_value', 0],
    ['internal_error', 'internal_error', 2],
    ['cancelled', undefined, 0],
  ]);
});

test('texts that are judged are traced too', async () => {
  await using server = await traced();
  const body = { model: 'rm-happy-a', queries: 'q', documents: ['a'] };
  await (await server.post('/v1/score', body)).text();
  expect(only(await spans(1), '/v1/score').attributes).toMatchObject({ 'coxswain.outcome': 'ok' });
});

test('without the package the server does not start, and says what to install', async () => {
  const missing = loadTracing(() => Promise.reject(new Error('Cannot find package')));
  await expect(missing).rejects.toBeInstanceOf(ConfigError);
  await expect(missing).rejects.toThrow(/@opentelemetry\/api.*Cannot find package.*install it/);
});

test('it is off unless it is asked for', async () => {
  await using server = await served();
  await (await server.post('/v1/completions', ask)).text();
  expect(exporter.getFinishedSpans()).toEqual([]);
});
