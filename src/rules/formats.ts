/** Formats of strings that are kept, as patterns: each text is one that validators accept; the rest of a format is not spelled. */

const DATE =
  '[0-9]{4}-((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)';
const TIME = '([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?';
const ZONE = '(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])';
const LABEL = '[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?';
const HOST = `${LABEL}(\\.${LABEL}){1,3}`;
const OCTET = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])';

/** A format that is not here says nothing about the text, as JSON Schema allows. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: `${TIME}${ZONE}`,
  'date-time': `${DATE}T${TIME}${ZONE}`,
  duration: 'P([0-9]{1,4}D|[0-9]{1,4}DT[0-9]{1,4}[HMS]|T[0-9]{1,4}[HMS])',
  email: `[a-z0-9]([a-z0-9_-]{0,30}[a-z0-9])?@${LABEL}(\\.${LABEL}){0,2}\\.[a-z]{2,6}`,
  hostname: HOST,
  ipv4: `${OCTET}(\\.${OCTET}){3}`,
  ipv6: '[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}',
  uuid: '[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}',
  uri: `https?://${HOST}(/[A-Za-z0-9._~-]{0,40}){0,4}`,
};
