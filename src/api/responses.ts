/** POST /v1/responses, in OpenAI's words: one answer as items, in events of its own, and kept to be gone on from. */

import type { AdmittedResponse } from '../plan/responses.ts';
import { ID_PREFIX, messageItem, responseObject, statusOf, textPart } from './response_object.ts';
import type { ResponseStore } from './response_store.ts';
import { ResponseWriter } from './response_writer.ts';
import type { Keep } from './response_writer.ts';
import type { Surface } from './surface.ts';

/** Events begin with their type. */
const TYPE_AT = '{"type":"'.length;
const typeOf = (event: string): string => event.slice(TYPE_AT, event.indexOf('"', TYPE_AT));

export const responses = (store: ResponseStore): Surface => ({
  endpoint: '/v1/responses',
  idPrefix: ID_PREFIX,
  createFrame: 'response.create',
  chunkFrame: 'response.event',
  sse: { message: (event) => `event: ${typeOf(event)}\ndata: ${event}\n\n`, end: '' },
  admit(planner, body, ambient) {
    const admitted = planner.response(body, ambient, store.recall(ambient.salt));
    const keep = keeper(store, admitted, ambient.salt);
    return {
      ...admitted,
      writer: (created) => new ResponseWriter(admitted, created, keep),
      whole(choices, created, reports) {
        const { text, draws, reason } = choices.get(0) ?? { text: '', draws: [], reason: null };
        const status = statusOf(reason);
        const item = messageItem(admitted, status, [textPart(admitted, text, draws)]);
        const response = responseObject(admitted, created, { status, reports }, [item]);
        keep(response, text);
        return response;
      },
    };
  },
});

const keeper =
  (store: ResponseStore, { asked }: AdmittedResponse, owner: string): Keep =>
  (response, text) => {
    const { input, conversation } = asked;
    if (asked.store) store.keep({ owner, response, input, conversation, text });
  };
