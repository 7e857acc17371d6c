/** Prometheus itself scrapes the running server, and answers what the dashboard and the alerts ask. */

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { queries, scrapeConfig } from '../support/dashboard.ts';
import { freePort, serve } from '../support/server.ts';

const installed = ['prometheus', 'promtool'].every(
  (name) => spawnSync(name, ['--version']).status === 0,
);
if (!installed)
  console.log('skipped: prometheus is not installed (Debian: apt-get install prometheus)');

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

class Prometheus implements AsyncDisposable {
  readonly #base: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
  readonly #gone: Promise<unknown>;
  readonly #kill: () => void;

  /** @param target the port that it scrapes */
  constructor(target: number, port: number) {
    const file = join(this.#folder, 'prometheus.yml');
    const targets = [`127.0.0.1:${target}`];
    const jobs = [{ job_name: 'coxswain', scrape_interval: '1s', static_configs: [{ targets }] }];
    writeFileSync(file, stringify({ ...scrapeConfig(), rule_files: [], scrape_configs: jobs }));
    this.#base = `http://127.0.0.1:${port}`;
    const child = spawn(
      'prometheus',
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${join(this.#folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore' },
    );
    this.#gone = once(child, 'exit');
    this.#kill = () => child.kill();
  }

  async ask(query: string): Promise<Answer> {
    try {
      const response = await fetch(
        `${this.#base}/api/v1/query?${String(new URLSearchParams({ query }))}`,
      );
      return (await response.json()) as Answer;
    } catch {
      return { status: 'not up yet' };
    }
  }

  async number(query: string): Promise<number> {
    return Number((await this.ask(query)).data?.result[0]?.value[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#gone;
    rmSync(this.#folder, { recursive: true });
  }
}

test.skipIf(!installed)(
  'Prometheus scrapes it and answers every query of the dashboard',
  async () => {
    await using server = await serve();
    const ask = async (body: object): Promise<void> => {
      const response = await fetch(`${server.base}/v1/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'tales', prompt: 'One day, Tom', max_tokens: 8, ...body }),
      });
      expect(response.status).toBe(200);
      await response.text();
    };
    const guides = [{ model: 'arm-happy', weight: 0.5 }];
    const strategy = { type: 'best_of_n', n: 3 };
    await ask({ stream: true });
    await ask({ alignment: { guides } });
    await ask({ alignment: { strategy, rewards: [{ model: 'rm-happy-a' }] } });
    await using prometheus = new Prometheus(server.port, await freePort());
    await expect.poll(() => prometheus.number('sum(coxswain_requests_total)')).toBe(3);
    expect(await prometheus.number('sum(coxswain_requests_total{strategy="best_of_n"})')).toBe(1);
    expect(await prometheus.number('sum(coxswain_candidates_total)')).toBe(5);
    expect(await prometheus.number('coxswain_guided_requests_total{guides="1"}')).toBe(1);
    for (const [title, query] of queries())
      expect([title, await prometheus.ask(query)]).toMatchObject([title, { status: 'success' }]);
    const page = await (await fetch(`${server.base}/metrics`)).text();
    const { status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: page });
    expect([status, stderr.toString()]).toEqual([0, '']);
  },
);

test.skipIf(!installed)(
  'promtool finds nothing wrong with the scrape config and the alerts',
  () => {
    const config = join(import.meta.dirname, '../../config/prometheus/prometheus.yml');
    const { status, stdout } = spawnSync('promtool', ['check', 'config', config], {
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([0, expect.stringContaining('5 rules found')]);
  },
);
