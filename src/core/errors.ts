/** What may go wrong for a client, and the status each case answers with. Anything else is a bug: a logged 500. */

export const STATUS = {
  invalid_json: 400,
  malformed_request: 400,
  invalid_value: 400,
  unknown_parameter: 400,
  context_length_exceeded: 400,
  strategy_unavailable: 400,
  reward_mismatch: 400,
  previous_response_not_found: 400,
  invalid_stream_id: 400,
  websocket_stream_limit_reached: 400,
  websocket_connection_limit_reached: 400,
  invalid_api_key: 401,
  forbidden_model: 403,
  forbidden_origin: 403,
  not_found: 404,
  model_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
  headers_too_large: 431,
  rate_limit_exceeded: 429,
  queue_full: 429,
  internal_error: 500,
  reward_failed: 502,
  overloaded: 503,
  draining: 503,
} as const;

export type ErrorCode = keyof typeof STATUS;

/** Plain data of a ServeError, as it crosses the process boundary. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly param: string | null;
  /** Seconds after which it may be tried again, where they are known. */
  readonly retryAfter?: number;
}

/** A request that cannot be served. The message says what is wrong, what was given and what would do. */
export class ServeError extends Error {
  override readonly name = 'ServeError';
  readonly code: ErrorCode;
  /** Path of the field at fault, such as `alignment.guides[0].model`; null when no one field is. */
  readonly param: string | null;
  /** Seconds; null: not known. */
  readonly retryAfter: number | null;

  constructor(
    code: ErrorCode,
    message: string,
    param: string | null = null,
    retryAfter: number | null = null,
  ) {
    super(message);
    this.code = code;
    this.param = param;
    this.retryAfter = retryAfter;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** What crosses the process boundary for any thrown value: a bug never shows its internals. */
export function toFailure(error: unknown): Failure {
  if (error instanceof ServeError) {
    const { code, message, param, retryAfter } = error;
    return { code, message, param, ...(retryAfter === null ? {} : { retryAfter }) };
  }
  return { code: 'internal_error', message: 'internal error', param: null };
}
