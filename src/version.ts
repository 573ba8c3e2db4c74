/** Gantry's own version, from the package it runs in: a checkout, or `dist/` of an installed package. */
import { existsSync, readFileSync } from 'node:fs';

export const VERSION: string = readVersion();

function readVersion(): string {
  const found = ['../package.json', '../../package.json']
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url));
  return found ? (JSON.parse(readFileSync(found, 'utf8')) as { version: string }).version : 'unknown';
}
