/**
 * Calls of tools within an answer's text, as Hermes and Qwen write them: rules spell them, prompts repeat them, and
 * the API reads them back.
 */

/** A call, whole: CALL.open, the name, CALL.middle, the arguments as JSON, CALL.close. Further calls follow CALL.next. */
export const CALL = {
  open: '<tool_call>\n{"name": "',
  middle: '", "arguments": ',
  close: '}\n</tool_call>',
  next: '\n',
} as const;

/** A text that begins with this is a call. */
export const CALL_TAG = '<tool_call>';

export interface Call {
  readonly name: string;
  /** JSON. */
  readonly arguments: string;
}

export const spellCall = (call: Call): string =>
  CALL.open + call.name + CALL.middle + call.arguments + CALL.close;
