/** A chat UI that people put into their pages, deep-chat, in a page of another origin: typed in, and rendered as it streams. */

import type { DeepChat } from 'deep-chat';
import { Window } from 'happy-dom';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { serve, type Served } from '../support/server.ts';

const page = new Window({ url: 'http://app.example/' });
const fetchOfPage = page.fetch.bind(page);
/** Of a browser's globals, those that the component uses. */
const { document, navigator, customElements } = page;
const { CSSStyleSheet, CustomEvent, DOMParser, HTMLElement, KeyboardEvent } = page;

let folder: string;
let server: Served;

/** The component, as its user has it. */
interface Chat {
  /** Types a message and presses Enter. */
  say(text: string): void;
  /** The text of the first bubble of one kind. */
  said(whose: 'user' | 'ai' | 'error'): string | undefined;
  /** What its answer has looked like. */
  readonly seen: ReadonlySet<string>;
}

/**
 * A page's fetch, which keeps to CORS. The end of a body comes a turn after its last bytes: deep-chat forgets what it
 * reads in the same turn as the end.
 */
const fetchInPage: typeof page.fetch = async (url, init) => {
  const answer = await fetchOfPage(url, init);
  const later = new TransformStream({ flush: () => new Promise(setImmediate) });
  const { status, headers } = answer;
  return new page.Response(answer.body?.pipeThrough(later) ?? null, { status, headers });
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'coxswain-'));
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    `server: { origins: ['http://app.example'] }
policy: tales
models: { tales: { path: '${resolve('models/tales')}', role: policy } }
`,
  );
  server = await serve(['--config', config]);
  page.fetch = fetchInPage;
  const globals = { document, navigator, customElements, CSSStyleSheet, CustomEvent, DOMParser };
  const all = { window: page, ...globals, HTMLElement, KeyboardEvent };
  for (const [name, value] of Object.entries(all)) vi.stubGlobal(name, value);
  await import('deep-chat');
}, 120_000);
afterAll(async () => {
  await page.happyDOM.close();
  vi.unstubAllGlobals();
  expect(await server.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

/** The component in the page, once it can be typed into. */
async function opened(): Promise<Chat> {
  const chat = page.document.createElement('deep-chat');
  const options: Partial<DeepChat> = {
    directConnection: { openAI: { key: 'none', completions: true } },
    connect: {
      url: `${server.base}/v1/chat/completions`,
      stream: true,
      additionalBodyProps: story,
    },
    errorMessages: { displayServiceErrorMessages: true },
  };
  page.document.body.append(Object.assign(chat, options));
  const root = chat.shadowRoot!;
  await expect.poll(() => root.querySelector('[aria-disabled=true]')).toBeTruthy(); // nothing to submit yet
  const said = (whose: string): string | undefined =>
    root.querySelector(`.${whose}-message-text`)?.textContent.trim();
  const seen = new Set<string>();
  const watcher = new page.MutationObserver(() => seen.add(said('ai') ?? ''));
  watcher.observe(root, { subtree: true, childList: true, characterData: true });
  return {
    said,
    seen,
    say(text) {
      const input = root.querySelector('#text-input')!;
      input.textContent = text;
      input.dispatchEvent(new page.KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
    },
  };
}

const story = { model: 'tales', max_tokens: 30, seed: 5 };
const content = 'Tell me a story about a girl named Emma.';

test('what is typed in is answered in the page, word by word', async () => {
  const answer = await fetch(`${server.base}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...story, messages: [{ role: 'user', content }] }),
  });
  const whole = (await answer.json()) as { choices: [{ message: { content: string } }] };
  const chat = await opened();
  chat.say(content);
  await expect.poll(() => chat.said('ai')).toBe(whole.choices[0].message.content);
  expect(chat.said('user')).toBe(content);
  expect(chat.seen.size).toBeGreaterThan(3);
  expect(chat.said('error')).toBeUndefined();
});

test('what the server refuses is told in the page', async () => {
  const chat = await opened();
  chat.say('And then? '.repeat(200));
  await expect.poll(() => chat.said('error')).toContain('384');
});
