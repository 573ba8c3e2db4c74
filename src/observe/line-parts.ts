/** Parts of the log lines that are written by hand, because there is one for each piece of work. */

/** Text that JSON takes as it stands: printable ASCII without quotation mark and backslash. */
const PLAIN = /^[ !#-[\]-~]*$/;
const BEYOND_ASCII = /[\u0080-\uffff]/g;

let lastMillisecond = 0;
let lastTime = '';

/** `,"name":"text"`, or nothing. */
export function member(name: string, text: string | undefined): string {
  return text === undefined ? '' : `,"${name}":${quoted(text)}`;
}

/** Text as a JSON string, in ASCII. */
export function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text).replace(BEYOND_ASCII, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Now, made into text once a millisecond. */
export function time(): string {
  const now = Date.now();
  if (now !== lastMillisecond) {
    lastMillisecond = now;
    lastTime = new Date(now).toISOString();
  }
  return lastTime;
}
