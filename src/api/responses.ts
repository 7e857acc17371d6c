/** POST /v1/responses, in OpenAI's words: one answer as items, in events of its own, and kept to be gone on from. */

import type { Recall } from '../plan/responses.ts';
import { byStream } from './dialect.ts';
import { ID_PREFIX, outputItems, responseObject, statusOf } from './response_object.ts';
import type { ResponseStore } from './response_store.ts';
import { ResponseWriter } from './response_writer.ts';
import type { Keep } from './response_writer.ts';
import type { Surface } from './surface.ts';

/** Events begin with their type. */
const TYPE_AT = '{"type":"'.length;
const typeOf = (event: string): string => event.slice(TYPE_AT, event.indexOf('"', TYPE_AT));

/** Where responses are kept. */
export interface Stores {
  readonly shared: ResponseStore;
  /** What is not to be stored, where it may still be gone on from: a socket's own memory. */
  readonly own: ResponseStore | null;
  /** A memory for one more socket. */
  another(): ResponseStore;
}

export const responses = (stores: Stores): Surface => ({
  endpoint: '/v1/responses',
  idPrefix: ID_PREFIX,
  createFrame: 'response.create',
  chunkFrame: 'response.event',
  dialect: byStream,
  sse: { message: (event) => `event: ${typeOf(event)}\ndata: ${event}\n\n`, end: '' },
  forSocket: () => responses({ ...stores, own: stores.another() }),
  admit(planner, body, ambient) {
    const admitted = planner.response(body, ambient, recall(stores, ambient.grant.salt));
    const { input, conversation, store } = admitted.asked;
    const keep: Keep = (response, text) =>
      (store ? stores.shared : stores.own)?.keep({
        owner: ambient.grant.salt,
        response,
        input,
        conversation,
        text,
      });
    return {
      ...admitted,
      writer: (created) => new ResponseWriter(admitted, created, keep),
      whole(choices, created, reports) {
        const { text, draws, reason } = choices.get(0) ?? { text: '', draws: [], reason: null };
        const status = statusOf(reason);
        const output = outputItems(admitted, text, draws, status);
        const response = responseObject(admitted, created, { status, reports }, output);
        keep(response, text);
        return response;
      },
    };
  },
});

function recall({ shared, own }: Stores, owner: string): Recall {
  const [here, everywhere] = [own?.recall(owner), shared.recall(owner)];
  return {
    conversation: (id) => here?.conversation(id) ?? everywhere.conversation(id),
    item: (id) => here?.item(id) ?? everywhere.item(id),
  };
}
