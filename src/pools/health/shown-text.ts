/** What others wrote, made fit for a log line: control and format characters escaped, and cut. */

const LONGEST = 80;

export function shownText(text: string): string {
  return text
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\x${character.codePointAt(0)!.toString(16)}`)
    .slice(0, LONGEST);
}
