/**
 * A model's chat template: the only file that knows @huggingface/jinja. A template is a program of whoever made the
 * model, so it runs for a bounded time, over bounded ranges, to a bounded text. Contents enter as marks that nobody
 * can guess, and the text is cut at them: what a user wrote is never read as part of the template.
 */

import { randomUUID } from 'node:crypto';
import vm from 'node:vm';
import { Template } from '@huggingface/jinja';
import { ServeError } from '../../core/errors.ts';
import type { ChatMessage } from '../../core/text.ts';

export interface Piece {
  readonly text: string;
  /** Which message's content it is; null: the template's own. */
  readonly message: number | null;
}

interface Names {
  readonly bos: string | null;
  readonly eos: string;
}

/** Throws ServeError if the template refuses the messages. */
type ChatTemplate = (messages: readonly ChatMessage[]) => Piece[];

const MOST_MS = 1000;
const MOST_CHARACTERS = 2 ** 20;
const MOST_RANGE = 10_000;

/**
 * Parses a template, and tries it on one message.
 * @param where the file, for messages
 * @throws Error that names the file, if it is no template or does not come to an end
 */
export function chatTemplate(source: string, names: Names, where: string): ChatTemplate {
  const template = parsed(source, where);
  try {
    render(template, [{ role: 'user', content: '' }], names);
  } catch (error) {
    // It may refuse this message by its own rules; it may not loop.
    if (isBound(error)) throw new Error(`${where}: ${messageOf(error)}`, { cause: error });
  }
  return (messages) => {
    try {
      return render(template, messages, names);
    } catch (error) {
      const said = `the model's chat template refuses these messages: ${messageOf(error)}`;
      throw new ServeError('invalid_value', said, 'messages');
    }
  };
}

function parsed(source: string, where: string): Template {
  try {
    // The library's range makes its whole list at once, whatever its length.
    return new Template(`{% set range = bounded_range %}${source}`);
  } catch (error) {
    throw new Error(`${where}: the chat template cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** It asked for more than a template may have. */
class Unbounded extends Error {
  override readonly name = 'Unbounded';
}

const isBound = (error: unknown): boolean =>
  error instanceof Unbounded || error instanceof RangeError || codeOf(error) === TIMEOUT;

const TIMEOUT = 'ERR_SCRIPT_EXECUTION_TIMEOUT';
/** Node makes this error in the script's own realm, where it is no Error of ours. */
const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : null;
const messageOf = (error: unknown): string =>
  codeOf(error) === TIMEOUT
    ? `the chat template ran for more than ${MOST_MS} ms`
    : (error as Error).message.replaceAll(MARK, 'message ');

const MARK = /mark-[0-9a-f-]{36}-/g;

function render(template: Template, messages: readonly ChatMessage[], names: Names): Piece[] {
  const mark = `mark-${randomUUID()}-`;
  const text = bounded(() =>
    template.render({
      messages: messages.map(({ role }, i) => ({ role, content: `${mark}${i}.` })),
      add_generation_prompt: true,
      bos_token: names.bos ?? '',
      eos_token: names.eos,
      bounded_range: range,
    }),
  );
  if (text.length > MOST_CHARACTERS)
    throw new Unbounded(
      `the chat template made ${text.length} characters; the most are ${MOST_CHARACTERS}`,
    );
  return text
    .split(new RegExp(`${mark}(\\d+)\\.`))
    .map((piece, i) =>
      i % 2 === 0
        ? { text: piece, message: null }
        : { text: messages[Number(piece)]!.content.toWellFormed(), message: Number(piece) },
    );
}

const context = vm.createContext({ work: null });
const script = new vm.Script('work()');

/** Node stops a script, and whatever it calls, wherever it is. */
function bounded(work: () => string): string {
  context['work'] = work;
  return script.runInContext(context, { timeout: MOST_MS }) as string;
}

/** Jinja's range. */
function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MOST_RANGE))
    // of a step of zero too
    throw new Unbounded(
      `the chat template asked for a range of ${length}; the most are ${MOST_RANGE}`,
    );
  return Array.from({ length }, (_, i) => from + i * step);
}
