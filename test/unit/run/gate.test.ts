import { expect, test } from 'vitest';
import { Gate } from '../../../src/run/gate.ts';
import { forever, turns } from '../../fakes/drive.ts';

/** What has become of a pass after a turn. */
async function state(pass: Promise<void> | null): Promise<string> {
  if (pass === null) return 'passed';
  const ended = pass.then(
    () => 'passed',
    (error: Error) => error.message,
  );
  await turns(1);
  return Promise.race([ended, Promise.resolve('waiting')]);
}

test('an open gate costs no wait', () => {
  expect(new Gate().pass(forever)).toBeNull();
});

test('all who wait at a closed gate pass once it opens', async () => {
  const gate = new Gate();
  gate.close();
  gate.close();
  const waiting = [gate.pass(forever), gate.pass(forever)];
  expect(await state(waiting[0]!)).toBe('waiting');
  gate.open();
  expect(await Promise.all(waiting.map(state))).toEqual(['passed', 'passed']);
  expect(gate.pass(forever)).toBeNull();
});

test('an abort ends the wait with its reason', async () => {
  const [gate, abort] = [new Gate(), new AbortController()];
  gate.close();
  const waiting = gate.pass(abort.signal);
  abort.abort(new Error('gone'));
  expect(await state(waiting)).toBe('gone');
  expect(await state(gate.pass(abort.signal))).toBe('gone');
});

test('a gate closes again', async () => {
  const gate = new Gate();
  gate.close();
  gate.open();
  gate.close();
  const waiting = gate.pass(forever);
  expect(await state(waiting)).toBe('waiting');
  gate.open();
  await waiting;
});
