import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../../src/ops/config.ts';
import type { Config } from '../../../src/ops/config.ts';
import { hashKey } from '../../../src/ops/keys.ts';

// Members of foreign documents are read as they come.
// eslint-disable-next-line typescript/no-explicit-any
type Resource = Record<string, any>;

const file = new URL('../../../config/kubernetes/coxswain.yaml', import.meta.url);
const resources = parseAllDocuments(readFileSync(file, 'utf8')).map((each) => {
  expect(each.errors).toEqual([]);
  return each.toJS() as Resource;
});
const ofKind = (kind: string): Resource => {
  const found = resources.find((resource) => resource['kind'] === kind);
  expect(found, kind).toBeDefined();
  return found ?? {};
};

function configOf({ data }: Resource): Config {
  const folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
  try {
    const path = join(folder, 'config.yaml');
    writeFileSync(path, (data as Record<string, string>)['config.yaml'] ?? '');
    vi.stubEnv('COXSWAIN_KEY_TEAM_A', hashKey('a'));
    return readConfig(path);
  } finally {
    rmSync(folder, { recursive: true });
    vi.unstubAllEnvs();
  }
}

const pod = ofKind('Deployment')['spec'].template as Resource;
const [container] = pod['spec'].containers as Resource[];

test('the config in it is one that this version reads, and its keys come from the secret', () => {
  const { server } = configOf(ofKind('ConfigMap'));
  expect(server.host).toBe('0.0.0.0');
  const variables = (container?.['env'] as Resource[]).map(({ name }) => name as string);
  expect(Object.values(server.keys).map(({ env }) => env)).toEqual(variables);
});

test('probes ask open routes on the port that is served', () => {
  const { server } = configOf(ofKind('ConfigMap'));
  const [port] = container?.['ports'] as Resource[];
  expect(port).toMatchObject({ name: 'http', containerPort: server.port });
  const open: string[] = ['/health', ...server.open_routes];
  for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe']) {
    const { path, port: named } = container?.[probe].httpGet as Resource;
    expect(open).toContain(path);
    expect(named).toBe('http');
  }
  expect(ofKind('Service')['spec'].ports[0].targetPort).toBe('http');
});

test('a pod that is told to stop has time to drain', () => {
  const { server } = configOf(ofKind('ConfigMap'));
  const grace = pod['spec'].terminationGracePeriodSeconds as number;
  const [, waits] =
    /(\d+)\)$/.exec(container?.['lifecycle'].preStop.exec.command[2] as string) ?? [];
  expect(grace * 1000).toBeGreaterThanOrEqual(Number(waits) + server.drain_ms + 5000);
});

test('every part is selected by one label, and runs without rights', () => {
  const { labels } = pod['metadata'] as Resource;
  const selectors = [
    ofKind('Deployment')['spec'].selector.matchLabels,
    ofKind('Service')['spec'].selector,
    ofKind('PodDisruptionBudget')['spec'].selector.matchLabels,
  ] as Resource[];
  for (const selector of selectors) expect(labels).toMatchObject(selector);
  expect(container?.['resources'].limits).toBeDefined();
  expect(container?.['securityContext']).toMatchObject({
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
});
