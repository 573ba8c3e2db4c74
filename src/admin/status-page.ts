/** The status page: one self-contained document, with a policy that lets nothing else in. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface StatusPage {
  readonly html: string;
  readonly style: string;
  readonly script: string;
}

/** Reads the page's parts, which lie beside this file, and puts them together. */
export function statusPage(): StatusPage {
  const part = (name: string) => readFileSync(new URL(`status-page/${name}`, import.meta.url), 'utf8');
  const style = part('page.css');
  const script = part('page.js');
  const html = part('page.html')
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script></script>', () => `<script>${script}</script>`);
  return { html, style, script };
}

/** Only this style and this script, named by their hashes, and only this server's API. */
export function contentSecurityPolicy({ style, script }: StatusPage): string {
  const hash = (source: string) => `'sha256-${createHash('sha256').update(source).digest('base64')}'`;
  return [
    "default-src 'none'",
    `style-src ${hash(style)}`,
    `script-src ${hash(script)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
