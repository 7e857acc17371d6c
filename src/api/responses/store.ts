/** Responses that later requests may go on from, or ask for again: the latest ones, bounded in number and in bytes. */

import { LRUCache } from 'lru-cache';
import { spellCall } from '../../core/call.ts';
import type { ChatMessage } from '../../core/text.ts';
import type { InputItem } from '../../plan/items.ts';
import type { Recall } from '../../plan/responses.ts';
import { readCalls } from '../tool_calls.ts';
import { callItemId, itemId, responseId } from './object.ts';
import type { ResponseObject } from './object.ts';

export interface Kept {
  /** Whose it is: nobody else can see it. */
  readonly owner: string;
  readonly response: ResponseObject;
  readonly input: readonly InputItem['wire'][];
  /** All that was said up to the answer. */
  readonly conversation: readonly ChatMessage[];
  readonly text: string;
}

interface StoreBounds {
  readonly entries: number;
  readonly bytes: number;
}

/** JavaScript's strings take up to two bytes a unit. */
const bytesOf = (kept: Kept): number => 2 * JSON.stringify(kept).length;

export class ResponseStore {
  readonly #kept: LRUCache<string, Kept>;

  constructor({ entries, bytes }: StoreBounds) {
    this.#kept = new LRUCache({ max: entries, maxSize: bytes, sizeCalculation: bytesOf });
  }

  get bytes(): number {
    return this.#kept.calculatedSize;
  }

  keep(kept: Kept): void {
    this.#kept.set(kept.response.id, kept);
  }

  get(id: string, owner: string): Kept | null {
    const kept = this.#kept.get(id);
    return kept && kept.owner === owner ? kept : null;
  }

  /** False: there is none of that id. */
  delete(id: string, owner: string): boolean {
    return this.get(id, owner) !== null && this.#kept.delete(id);
  }

  /** What one owner's requests may refer to. */
  recall(owner: string): Recall {
    return {
      conversation: (id) => {
        const kept = this.get(id, owner);
        return kept && [...kept.conversation, answerOf(kept)];
      },
      item: (id) => {
        const kept = this.get(responseId(id), owner);
        return kept && itemOf(kept, id);
      },
    };
  }
}

const answerOf = ({ text }: Kept): ChatMessage => ({ role: 'assistant', content: text });

/** One item of an answer: its message, or one of its calls as the model wrote it. */
function itemOf(kept: Kept, id: string): ChatMessage | null {
  if (id === itemId(kept.response.id)) return answerOf(kept);
  const { calls } = readCalls(kept.text);
  const call = calls.find((_, index) => callItemId(kept.response.id, index) === id);
  return call ? { role: 'assistant', content: spellCall(call) } : null;
}
